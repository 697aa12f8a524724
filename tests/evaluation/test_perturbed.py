"""A perturbed evaluation: the same for a seed, told wherever its result is, kept apart."""

from __future__ import annotations

import dataclasses
import functools
import json

import pytest
import yaml

import envs
from evaluation.run_folders import write_run
from mfpolicy.cli.eval import changed_by, environment_of
from mfpolicy.config import compose
from mfpolicy.errors import ConfigError, RunError
from mfpolicy.evaluation import evaluate, read_summary, summary_rows
from mfpolicy.evaluation.evaluate import _default_name
from mfpolicy.evaluation.records import SETTINGS, SUMMARY, open_log, read_log
from mfpolicy.evaluation.services import EpisodeService

pytestmark = pytest.mark.render

TASK = "metaworld/drawer-open"
SHIFT = {"name": "camera_shift", "distance_cm": 5.0}


def _make(**more):
    return functools.partial(envs.make, TASK, points=64, image_size=32, horizon=5, **more)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    env = _make()()
    recipe, task = env.recipe.to_dict(), env.spec_task
    env.close()
    return write_run(
        tmp_path_factory.mktemp("run") / "drawer-open",
        task=TASK,
        recipe=recipe,
        points=64,
        state_dim=task.state_dim,
        action_dim=task.action_dim,
        control_rate_hz=task.control_rate_hz,
    )


@pytest.fixture(scope="module")
def evaluated(run):
    return evaluate(run, _make(perturbation=SHIFT), episodes=2, workers=1, videos=False)


def _courses(run, perturbation, seeds=(10000, 10001)):
    service = EpisodeService(run, _make(perturbation=perturbation))
    results = [dataclasses.replace(service.run(seed), latencies_ms={}) for seed in seeds]
    facts = service.facts
    service.close()
    return results, facts


def test_two_evaluations_see_the_same_and_none_of_it_where_nothing_is_changed(run, evaluated):
    recorded = read_log(evaluated.folder)
    again, facts = _courses(run, SHIFT, seeds=(10001,))
    assert facts["perturbation"] == SHIFT
    assert again == [dataclasses.replace(recorded[10001], latencies_ms={})]
    plain, facts = _courses(run, None)
    assert "perturbation" not in facts
    assert plain[1] != again[0]
    at_rest, facts = _courses(run, SHIFT | {"distance_cm": 0})
    assert "perturbation" not in facts
    assert at_rest == plain


def test_the_record_and_whoever_shows_it_tell_what_was_changed(run, evaluated):
    folder = evaluated.folder
    assert folder.name == "drawer-open-seed10000-nfe1-camera_shift5"
    assert json.loads((folder / SETTINGS).read_text())["perturbation"] == SHIFT
    assert read_summary(folder).perturbation == evaluated.perturbation == SHIFT
    assert ("perturbed", "camera_shift, distance_cm 5") in summary_rows(evaluated)
    card = (run / "README.md").read_text()
    assert f"| `{folder.name}`, perturbed: camera_shift, distance_cm 5 |" in card
    assert "episodes=2 seed=10000 perturbation=camera_shift perturbation.distance_cm=5" in card
    entry = yaml.safe_load(card.split("---")[1])["model-index"][0]["results"][0]
    assert entry["dataset"]["name"].endswith("perturbed: camera_shift, distance_cm 5")


def test_an_evaluation_is_not_continued_under_another_perturbation(run, evaluated):
    settings = json.loads((evaluated.folder / SETTINGS).read_text())
    other = {**settings, "perturbation": SHIFT | {"distance_cm": 3.0}}
    assert _default_name(run / "eval", other) == "drawer-open-seed10000-nfe1-camera_shift3"
    del other["perturbation"]
    with (
        pytest.raises(RunError, match="perturbation: .* recorded, None wanted"),
        open_log(evaluated.folder, other),
    ):
        pass


def test_a_summary_of_an_earlier_version_is_of_nothing_perturbed(evaluated, tmp_path):
    content = json.loads((evaluated.folder / SUMMARY).read_text())
    del content["perturbation"]
    (tmp_path / SUMMARY).write_text(json.dumps(content))
    assert read_summary(tmp_path).perturbation is None


def test_words_of_the_command_line_come_to_the_environment(run):
    words = [str(run), "perturbation=missing_points", "perturbation.fraction=0.5"]
    keywords = environment_of(compose("eval", words)).keywords
    told = {"name": "missing_points", "fraction": 0.5, "pattern": "region"}
    assert keywords["perturbation"] == told
    assert "perturbation" not in environment_of(compose("eval", [str(run)])).keywords
    assert changed_by({"name": "cloud_noise", "std_m": 0}) is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["perturbation=camera_shft"], "camera_shift"),
        (["perturbation=camera_shift", "perturbation.std_m=1"], "perturbation.std_m"),
        (["perturbation=camera_shift", "perturbation.distance_cm=-1"], "distance_cm must be in"),
        (["perturbation.distance_cm=1"], "perturbation.distance_cm"),
    ],
)
def test_words_that_do_not_fit_are_refused_before_anything_runs(run, words, told):
    with pytest.raises(ConfigError, match=told):
        environment_of(compose("eval", [str(run), *words]))

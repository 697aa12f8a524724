"""Success against how much is changed, and whether what is joined was evaluated alike."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.synthetic import cell, episodes
from mfpolicy.benchmark.record import Evaluation
from mfpolicy.benchmark.report import build_report, select
from mfpolicy.benchmark.report.analysis import analyze

TASKS = ("metaworld/push", "metaworld/lever-pull")
SEEDS = range(10_000, 10_020)  # fewer than those of last
LEVELS = {
    "camera_shift_1cm": ({"name": "camera_shift", "distance_cm": 1.0}, 0.7),
    "camera_shift_5cm": ({"name": "camera_shift", "distance_cm": 5.0}, 0.1),
    "missing_25pct": ({"name": "missing_points", "fraction": 0.25, "pattern": "region"}, 0.5),
    "object_range_x1.5": ({"name": "object_range", "factor": 1.5}, 0.4),
}
SETTINGS = {"nfe": 1, "execution": None, "compiled": None}


def perturbed(method, task, seed=0, *, levels=LEVELS, settings=SETTINGS, plain=None):
    """A record under each of the levels."""
    record = cell(method, task, seed)
    last = dataclasses.replace(record.evaluations["last"], settings=plain or settings)
    evaluations = {"last": last}
    for name, (changed, chance) in levels.items():
        ends = episodes(f"{method} {task} {seed} {name}", chance, SEEDS)
        evaluations[name] = Evaluation(changed, 1.0, ends, settings=settings)
    return dataclasses.replace(record, evaluations=evaluations)


@pytest.fixture(scope="module")
def results():
    return select([perturbed(m, t, s) for m in ("mp1", "mp1_plus") for t in TASKS for s in (0, 1)])


def success(record, evaluation, seeds=SEEDS):
    ends = record.evaluations[evaluation].episodes
    return np.mean([each.success_any for each in ends if each.seed in seeds])


def test_success_falls_along_a_perturbation_from_that_of_the_same_episodes_unperturbed(results):
    found = {each.perturbation: each for each in analyze(results).severities}
    assert list(found) == ["camera_shift", "missing_points", "object_range"]
    shift = found["camera_shift"]
    assert (shift.option, shift.others, set(shift.tasks)) == ("distance_cm", {}, set(TASKS))
    for method, points in shift.points.items():
        assert list(points) == [0, 1, 5]
        for value, name in {0: "last", 1: "camera_shift_1cm", 5: "camera_shift_5cm"}.items():
            expected = np.mean([success(record, name) for record in results.of(method)])
            assert points[value].rate == pytest.approx(expected)
            low, high = points[value].interval
            assert low < expected < high
    assert list(found["object_range"].points["mp1"]) == [1, 1.5]  # a factor is at rest at 1
    assert found["missing_points"].others == {"pattern": "region"}


def test_the_section_has_both_figures_and_a_row_of_each_level_and_method(results):
    report = build_report(results)
    (section,) = [each for each in report.sections if each.title == "Robustness"]
    severity, change = section.pictures
    assert (severity.name, change.name) == ("severity", "robustness")
    assert severity.png.startswith(b"\x89PNG")
    assert len(section.tables[0].rows) == 2 * len(LEVELS)
    assert len(report.summary["robustness_by_severity"]) == 3


def test_points_are_means_over_tasks_that_every_level_has():
    some = {name: LEVELS[name] for name in list(LEVELS)[1:]}
    records = [perturbed("mp1", TASKS[0]), perturbed("mp1", TASKS[1], levels=some)]
    found = {each.perturbation: each for each in analyze(select(records)).severities}
    assert found["camera_shift"].tasks == (TASKS[0],)
    assert set(found["missing_points"].tasks) == set(TASKS)
    apart = [perturbed("mp1", TASKS[0]), perturbed("mp1_plus", TASKS[1])]
    assert analyze(select(apart)).severities == ()


def test_one_name_of_two_perturbations_is_told_and_not_joined():
    other = {"camera_shift_1cm": ({"name": "camera_shift", "distance_cm": 2.0}, 0.5)}
    records = [perturbed("mp1", TASKS[0]), perturbed("mp1", TASKS[1], levels=other)]
    analysis = analyze(select(records))
    rows = [row for row in analysis.perturbed if row.name == "camera_shift_1cm"]
    assert [row.tasks for row in rows] == [(TASKS[1],), (TASKS[0],)]
    assert any("not of the same perturbation" in each for each in analysis.remarks)


def remarks(*records):
    told = analyze(select(records)).remarks
    return [each for each in told if "evaluated" in each or "made with" in each]


def test_cells_that_were_evaluated_otherwise_are_told():
    usual = [perturbed("mp1", task, seed) for task in TASKS for seed in (0, 1)]
    assert remarks(*usual) == []
    late = SETTINGS | {"execution": {"name": "warm_start"}}
    (within,) = remarks(*usual, perturbed("mp1", TASKS[0], 2, settings=late))
    assert "mp1 were not all evaluated with the same settings" in within
    assert "execution: metaworld/push mp1 d10-s2" in within
    (between,) = remarks(*usual, perturbed("mp1_plus", TASKS[0], settings=late))
    assert "not evaluated with the same execution" in between
    assert 'mp1 null; mp1_plus {"name": "warm_start"}' in between
    (beside,) = remarks(*usual, perturbed("mp1_plus", TASKS[0], settings=late, plain=SETTINGS))
    assert "other settings than the plain one" in beside


def test_what_is_a_methods_own_and_records_without_settings_are_no_difference():
    more_steps = perturbed("dp3", TASKS[0], settings=SETTINGS | {"nfe": 10})
    assert remarks(perturbed("mp1", TASKS[0]), more_steps) == []
    assert remarks(perturbed("mp1", TASKS[0]), cell("mp1", TASKS[1])) == []

"""An evaluation of the compiled policy is that of the policy, and says what it was."""

import pytest

from evaluation.fakes import ReachEnv
from evaluation.run_folders import write_run
from mfpolicy.config import compose
from mfpolicy.errors import ConfigError
from mfpolicy.evaluation import evaluate, read_summary
from mfpolicy.evaluation.conditions import Conditions
from mfpolicy.evaluation.services import EpisodeService

COMPILED = {"backend": "packed", "precision": "float32"}


def test_the_compiled_policy_takes_the_same_course(tmp_path):
    run = write_run(tmp_path)
    plain = EpisodeService(run, ReachEnv)
    compiled = EpisodeService(run, ReachEnv, Conditions(compiled=COMPILED))
    for seed in (1, 2):
        ours, theirs = compiled.run(seed), plain.run(seed)
        assert ours.steps == theirs.steps
        assert ours.success_end == theirs.success_end
        assert ours.episode_return == pytest.approx(theirs.episode_return, abs=1e-3)


def test_it_is_on_record_and_apart_from_the_plain_one(tmp_path):
    run = write_run(tmp_path)
    options = {"episodes": 2, "workers": 1, "videos": False}
    plain = evaluate(run, ReachEnv, **options)
    compiled = evaluate(run, ReachEnv, compiled={**COMPILED, "precision": "int8"}, **options)
    assert plain.compiled is None
    assert compiled.compiled == {"backend": "packed", "precision": "int8"}
    assert compiled.folder != plain.folder
    assert read_summary(compiled.folder).compiled == compiled.compiled
    card = (run / "README.md").read_text()
    assert "backend=packed precision=int8" in card


def test_an_execution_that_looks_at_the_plan_is_refused(tmp_path):
    run = write_run(tmp_path)
    plan_in_view = {"name": "real_time_chunking", "execute": 1}
    with pytest.raises(ConfigError, match="without a plan in view"):
        EpisodeService(run, ReachEnv, Conditions(execution=plan_in_view, compiled=COMPILED))


def test_the_command_line_compiles_where_it_is_asked_to():
    from mfpolicy.cli.eval import _compiled

    assert _compiled(compose("eval", ["run"])) is None
    assert _compiled(compose("eval", ["run", "precision=int8"])) == {
        "backend": "auto",
        "precision": "int8",
    }

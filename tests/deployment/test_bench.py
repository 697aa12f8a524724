"""The latency benchmark times what it says, in turn, and writes what it measured."""

import json
import time

import numpy as np
import pytest

from mfpolicy.cli import main
from mfpolicy.deployment.bench.cold import cold_start
from mfpolicy.deployment.bench.contenders import Contender, contenders
from mfpolicy.deployment.bench.load import busy_processes
from mfpolicy.deployment.bench.measure import interleaved, observation_for, percentiles
from mfpolicy.errors import ConfigError

SIZES = {"device": "cpu", "state_dim": 5, "action_dim": 2}


class _Sleeper:
    """Decides after a known time, and says when it did."""

    def __init__(self, name, spent_s, log):
        self.name, self.spent_s, self.log = name, spent_s, log

    def __call__(self, observation):
        self.log.append(self.name)
        time.sleep(self.spent_s)
        return observation


def test_everybody_is_timed_in_turn_and_warmed_up_first():
    log = []
    slow, quick = _Sleeper("slow", 0.004, log), _Sleeper("quick", 0.0, log)
    deciders = [
        (sleeper, lambda name=sleeper.name: log.append(f"before {name}"), {})
        for sleeper in (slow, quick)
    ]
    of_slow, of_quick = interleaved(deciders, decisions=9, turn=5)
    assert len(of_slow["total"]) == len(of_quick["total"]) == 10
    assert of_slow["total"].min() >= 4
    assert np.median(of_quick["total"]) < 4
    a_round = [name for s in ("slow", "quick") for name in [f"before {s}", *[s] * 8]]
    assert log == a_round * 2


@pytest.mark.parametrize(
    ("policy", "backend"), [("mp1_small", "packed"), ("mp1_mixer", "auto"), ("mp1_small", "eager")]
)
def test_the_stages_of_a_decision_add_up_to_it(policy, backend):
    contender = Contender(policy, backend, "float32", batch=2, threads=1, **SIZES)
    runtime = contender.compile()
    observation = observation_for(runtime, np.random.default_rng(0))
    (stages,) = interleaved([(runtime, lambda: None, observation)], decisions=5, turn=5)
    parts = stages["copy"] + stages["encoder"] + stages["network"]
    np.testing.assert_allclose(parts, stages["total"], rtol=1e-9)
    assert min(values.min() for values in stages.values()) > 0


def test_percentiles_are_those_of_the_samples():
    values = percentiles(np.arange(1001.0))
    expected = {"p50": 500, "p95": 950, "p99": 990, "p99.9": 999, "max": 1000, "n": 1001}
    assert values == pytest.approx(expected)


def test_every_combination_that_exists_takes_part():
    found = contenders(
        ["mp1_small", "mp1_small/regression"],
        backends=["auto", "packed", "eager"],
        precisions=["float32", "int8"],
        batches=[1, 2],
        threads=[1],
        **SIZES,
    )
    kinds = {(c.backend, c.precision) for c in found}
    assert kinds == {("packed", "float32"), ("packed", "int8"), ("eager", "float32")}
    assert len(found) == len(set(found)) == 2 * 3 * 2
    with pytest.raises(ConfigError, match="a backend must know one of the precisions"):
        contenders(
            *[["mp1_small"]],
            **{"backends": ["eager"], "precisions": ["int8"], "batches": [1], "threads": [1]},
            **SIZES,
        )


def test_a_cold_start_is_that_of_a_new_process():
    contender = Contender("mp1_small", "eager", "float32", batch=1, threads=1, **SIZES)
    cold = cold_start(contender)
    assert 0 < cold["compile_s"] < cold["start_s"]
    assert cold["memory_mib"] > 50


def test_busy_processes_are_gone_afterwards():
    with busy_processes(1):
        before = time.process_time()
        time.sleep(0.05)
        assert time.process_time() - before < 0.05  # it is not this process that is busy


def test_the_command_writes_table_numbers_and_figure(tmp_path, capsys):
    out = tmp_path / "results" / "latency"
    words = ["bench", "latency", "policy=mp1_small", "backend=packed,eager", "decisions=20"]
    assert main([*words, "cold=false", f"out={out}"]) == 0
    shown = capsys.readouterr().out
    written = json.loads(out.with_suffix(".json").read_text())
    assert [row["backend"] for row in written["rows"]] == ["packed", "eager"]
    for row in written["rows"]:
        latency = row["latency_ms"]
        assert latency["total"]["n"] == 20
        assert set(latency) == {"total", "copy", "encoder", "network"}
        assert f"{latency['total']['p50']:.2f}" in shown
        assert f"{latency['total']['p50']:.2f}" in out.with_suffix(".md").read_text()
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("policy=mp9", "did you mean 'mp1'"),
        ("policy=mp1/meanflw", "meanflow"),
        ("precision=int2", "precision must be one of"),
        ("batch=one", "whole numbers"),
        ("threads=0", "whole numbers"),
        ("backend=cuda_graph", "must know the device"),
        ("reference=/nowhere", "checkout of LogSSim/MP1"),
        ("what=speed", "one of latency"),
    ],
)
def test_a_mistake_is_answered_before_anything_is_timed(word, message, capsys):
    words = [word] if word.startswith("policy") else ["policy=mp1_small", word]
    assert main(["bench", *words, "decisions=1", "cold=false"]) == 2
    assert message in capsys.readouterr().err

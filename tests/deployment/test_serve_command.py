"""``mfpolicy serve`` as users start it: a process that says when it is ready, and ends cleanly."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest
import torch

from deployment.serving import get, noise, observation, serving
from mfpolicy import cli
from mfpolicy.config import compose
from mfpolicy.deployment.client import PolicyClient, PolicyConnectionError
from mfpolicy.errors import ConfigError
from mfpolicy.policy import save_policy
from oracles.small_policy import small_policy

TOKEN = "from-the-environment"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_policy(small_policy(), tmp_path_factory.mktemp("run")).parent


@pytest.mark.parametrize(("compiled", "bound"), [("true", 1e-5), ("false", 0)])
def test_a_process_serves_the_policy_of_its_run_until_it_is_told_to_end(run, compiled, bound):
    words = ["port=0", "token=${oc.env:POLICY_TOKEN}", "host=0.0.0.0", "threads=1"]
    words.append(f"compiled={compiled}")
    with serving(run, *words, env={"POLICY_TOKEN": TOKEN}) as (process, ready):
        assert ready["ready"] is True
        assert ready["pid"] == process.pid
        url = ready["url"].replace("0.0.0.0", "127.0.0.1")
        with pytest.raises(PolicyConnectionError, match="token"):
            PolicyClient(url)
        client = PolicyClient(url, token=TOKEN)
        served = client.predict(observation(1), noise=noise(1))
        direct = small_policy().predict(observation(1), noise=torch.from_numpy(noise(1)))
        np.testing.assert_allclose(served, direct.numpy(), rtol=0, atol=bound)
        assert get(url, token=TOKEN)[1]["requests"] == 1
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert output == ""
    assert errors.splitlines()[-1] == "stopped"
    assert "Traceback" not in errors
    with pytest.raises(PolicyConnectionError):
        client.predict(observation())


def test_ctrl_c_answers_what_is_in_flight_and_says_goodbye(run):
    with serving(run, "port=0") as (process, ready):
        codes, served = [], []

        def ask():
            with PolicyClient(ready["url"]) as client:
                try:
                    while True:
                        served.append(client.predict(observation()))
                except PolicyConnectionError as error:
                    codes.append(error)

        robots = [threading.Thread(target=ask) for _ in range(4)]
        for robot in robots:
            robot.start()
        deadline = time.monotonic() + 20
        while len(served) < 10:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        for robot in robots:
            robot.join(20)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert len(codes) == 4
    assert all("must listen" in str(error) for error in codes)  # it asked again, and found none


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["host=0.0.0.0"], "must have a token"),
        (["token="], "token must not be empty"),
        (["token=two words"], "visible ASCII"),
        (["port=70000"], "port must be at most 65535"),
        (["port=-1"], "port must be at least 0"),
        (["max_batch=0"], "max_batch must be at least 1"),
        (["max_message_mb=0"], "max_message_mb must be above 0"),
        (["window_ms=nan"], "window_ms must be at least 0"),
        (["steps=3"], "steps of this"),
        (["tokn=x"], "'token'"),
        (["device=cuda:77"], "device must be one that this machine has"),
    ],
)
def test_a_mistake_is_one_message_before_anything_listens(run, words, message, capsys):
    if words == ["steps=3"]:
        run = save_policy(small_policy("regression"), run.parent / "regression").parent
    assert cli.main(["serve", str(run), *words]) == cli.USER_ERROR
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_run_that_is_none_is_explained(tmp_path, capsys):
    assert cli.main(["serve", str(tmp_path)]) == cli.USER_ERROR
    assert str(tmp_path) in capsys.readouterr().err


def test_a_token_is_not_shown_in_an_error():
    with pytest.raises(ConfigError) as caught:
        compose("serve", ["runs/x", f"token={TOKEN}", "port=70000"])
    assert TOKEN not in str(caught.value)

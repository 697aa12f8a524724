"""The server: the policy's own answers, shared batches, errors as answers, and who may connect."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from deployment.serving import Slowed, get, noise, observation, running
from mfpolicy.deployment.chunk_policy import EagerChunkPolicy
from mfpolicy.deployment.client import PolicyClient, PolicyServerError
from mfpolicy.deployment.server.batching import Batcher
from mfpolicy.errors import BackendError
from mfpolicy.policy import Policy
from oracles.small_policy import small_policy

LIMIT = 20_000
SPEC = small_policy().spec


def _direct(seed, rows=1, **options):
    start = torch.from_numpy(noise(seed, rows))
    return small_policy().predict(observation(seed, rows), noise=start, **options).numpy()


@pytest.fixture(scope="module")
def server():
    with running(max_message_bytes=LIMIT) as server:
        yield server


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 0.5, 0])
def test_the_same_noise_gives_the_policys_own_actions_bit_for_bit(server, rows, scale):
    with PolicyClient(server.url) as client:
        served = client.predict(observation(5, rows), noise=noise(5, rows), noise_scale=scale)
    np.testing.assert_array_equal(served, _direct(5, rows, noise_scale=scale))
    assert served.dtype == np.float32


def test_a_seed_is_that_of_a_generator(server):
    with PolicyClient(server.url) as client:
        served = client.predict(observation(5, 3), seed=2**63 - 1)
    generator = torch.Generator().manual_seed(2**63 - 1)
    direct = small_policy().predict(observation(5, 3), generator=generator).numpy()
    np.testing.assert_array_equal(served, direct)


def test_the_greeting_describes_the_policy(server):
    with PolicyClient(server.url) as client:
        metadata = client.metadata
    spec = small_policy().spec
    for key in ("task", "n_obs_steps", "n_action_steps", "horizon", "points", "control_rate_hz"):
        assert metadata["spec"][key] == getattr(spec, key)
    assert metadata["spec"]["shapes"]["actions"] == [None, 3, 2]
    assert metadata["limits"] == {"max_message_bytes": LIMIT, "max_batch": 16}


def test_eight_clients_at_once_share_batches_and_get_their_own_answers():
    policy = Slowed(0.02)
    with running(policy) as server:

        def ask(number):
            with PolicyClient(server.url, timeout_s=20) as client:
                return [
                    (client.predict(observation(seed), noise=noise(seed)), client.server_timing)
                    for seed in range(10 * number, 10 * number + 6)
                ]

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(8)))
        counts = get(server.url)[1]
    for number, answered in enumerate(answers):
        for step, (actions, _) in enumerate(answered):
            np.testing.assert_allclose(actions, _direct(10 * number + step), atol=1e-5)
    timings = [timing for answered in answers for _, timing in answered]
    assert max(timing["batch_requests"] for timing in timings) > 4
    assert counts["requests"] == 48
    assert counts["batches"] == len(policy.rows) < 24
    for timing in timings:
        assert timing["total_ms"] >= timing["queue_ms"] + timing["inference_ms"] - 0.1


def test_clouds_of_different_sizes_are_computed_apart():
    policy = Policy(dataclasses.replace(small_policy().spec, points=None)).eval()
    held = Slowed(policy=policy)
    held.go.clear()
    inputs = [observation(seed) for seed in range(4)]
    for value in inputs[::2]:
        value["point_cloud"] = value["point_cloud"][:, :, :5]
    with running(held) as server, ThreadPoolExecutor(4) as pool:
        clients = [PolicyClient(server.url, timeout_s=20) for _ in inputs]
        futures = [
            pool.submit(client.predict, value, noise=noise())
            for client, value in zip(clients, inputs, strict=True)
        ]
        time.sleep(0.2)
        held.go.set()
        for value, future in zip(inputs, futures, strict=True):
            direct = policy.predict(value, noise=torch.from_numpy(noise())).numpy()
            np.testing.assert_allclose(future.result(), direct, atol=1e-5)
        for client in clients:
            client.close()


def test_steps_are_those_the_server_was_started_with():
    policy = EagerChunkPolicy(small_policy(), steps=2)
    with running(policy) as server, PolicyClient(server.url) as client:
        served = client.predict(observation(5), noise=noise(5))
    np.testing.assert_array_equal(served, _direct(5, steps=2))
    assert not np.array_equal(served, _direct(5))


def test_a_lone_client_waits_for_nobody_even_beside_one_that_is_silent():
    with (
        running(window_ms=1000) as server,
        PolicyClient(server.url),
        PolicyClient(server.url) as client,
    ):
        client.predict(observation())
        started = time.monotonic()
        for _ in range(5):
            client.predict(observation())
        assert time.monotonic() - started < 1


def test_clients_that_ask_in_turn_wait_for_one_another_within_the_window():
    policy = Slowed()
    with (
        running(policy, window_ms=300) as server,
        PolicyClient(server.url) as one,
        PolicyClient(server.url) as two,
        ThreadPoolExecutor(2) as pool,
    ):
        for _ in range(3):
            list(pool.map(lambda client: client.predict(observation()), (one, two)))
    assert policy.rows[-2:] == [2, 2]


def test_a_batch_has_at_most_so_many_rows():
    policy = Slowed()
    policy.go.clear()
    with running(policy, max_batch=4) as server:
        clients = [PolicyClient(server.url, timeout_s=20) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            futures = [pool.submit(client.predict, observation(rows=2)) for client in clients]
            time.sleep(0.2)
            policy.go.set()
            assert all(future.result().shape == (2, 3, 2) for future in futures)
        with pytest.raises(PolicyServerError, match="at most 4 rows"):
            clients[0].predict(observation(rows=5))
        for client in clients:
            client.close()
    assert max(policy.rows) == 4
    assert sum(policy.rows) == 12


class _Choosy:
    """Fails on states above 10, makes NaN of those below −10, and too little of those above 5."""

    def __init__(self):
        self._decide = EagerChunkPolicy(small_policy())
        self.spec = self._decide.spec
        self.go = threading.Event()

    def __call__(self, observation, *, noise=None):
        self.go.wait(20)
        if observation["agent_pos"].max() > 10:
            raise RuntimeError("out of memory")
        actions = self._decide(observation, noise=noise)
        actions[observation["agent_pos"].min((1, 2)) < -10] = np.nan
        return actions[: len(actions) - int((observation["agent_pos"] > 5).any())]


def test_a_request_that_the_policy_fails_on_spares_its_batch(caplog):
    policy = _Choosy()
    with running(policy) as server, ThreadPoolExecutor(5) as pool:
        clients = [PolicyClient(server.url, timeout_s=20) for _ in range(5)]
        inputs = [observation(seed) for seed in range(5)]
        inputs[1]["agent_pos"] += 100
        inputs[3]["agent_pos"] -= 100
        inputs[4]["agent_pos"] += 6
        futures = [
            pool.submit(client.predict, value, noise=noise(seed))
            for seed, (client, value) in enumerate(zip(clients, inputs, strict=True))
        ]
        time.sleep(0.2)
        policy.go.set()
        for seed in (0, 2):
            np.testing.assert_allclose(futures[seed].result(), _direct(seed), atol=1e-5)
        for seed in (1, 4):
            with pytest.raises(PolicyServerError, match="see the server's log"):
                futures[seed].result()
        with pytest.raises(PolicyServerError, match="actions must be finite"):
            futures[3].result()
        for client in clients:
            client.close()
    assert "out of memory" in caplog.text
    assert "for 1 observations" in caplog.text


def test_a_server_that_can_compute_no_more_ends_with_the_reason(monkeypatch):
    async def breaks(_batcher):
        await asyncio.sleep(0.2)
        raise MemoryError("no thread")

    monkeypatch.setattr(Batcher, "run", breaks)
    with running() as server:
        server.join(stop=False)
    assert isinstance(server.error, MemoryError)


def test_health_counts_what_happened():
    with running() as server:
        status, before = get(server.url)
        assert (status, before["ready"], before["requests"]) == (200, True, 0)
        assert before["latency_ms"] == {"p50": None, "p99": None}
        with PolicyClient(server.url) as client:
            for _ in range(3):
                client.predict(observation())
            with pytest.raises(PolicyServerError):
                client.predict(observation(rows=99))
            _, after = get(server.url)
    counts = {key: after[key] for key in ("requests", "errors", "batches", "clients")}
    assert counts == {"requests": 4, "errors": 1, "batches": 3, "clients": 1}
    assert 0 < after["latency_ms"]["p50"] <= after["latency_ms"]["p99"]


def test_a_port_that_is_taken_is_explained(server):
    with pytest.raises(BackendError, match="port=0"), running(port=server.port):
        pass

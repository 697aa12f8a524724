"""Every registered strategy, driven by control ticks under whatever delays."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mfpolicy.deployment import chunking
from mfpolicy.deployment.chunking import ChunkExecutor, Counts, Request
from mfpolicy.errors import ActionError, ConfigError
from mfpolicy.paths import config_dir

CHUNK, ACTION = 12, 3
VARIANTS = [
    ("receding_horizon", {"execute": 5}),
    ("receding_horizon", {"execute": 4, "asynchronous": True}),
    ("receding_horizon", {"execute": 3, "asynchronous": True, "in_flight": 3}),
    ("temporal_ensembling", {"decay": 0.5, "in_flight": 4}),
    ("real_time_chunking", {"execute": 4, "in_flight": 2}),
    ("real_time_chunking", {"execute": 6, "blend": False}),
]
EVERY = [(name, {}) for name in chunking.names()] + VARIANTS
every_strategy = pytest.mark.parametrize(("name", "options"), EVERY)
DELAYS = st.lists(st.one_of(st.none(), st.integers(0, 25)), min_size=1, max_size=30)


def consistent(request: Request) -> np.ndarray:
    """The chunk of a policy that never changes its mind: an action is a function of its step."""
    steps = np.arange(request.step, request.step + CHUNK)
    return np.stack([steps, np.sin(steps), np.cos(0.1 * steps) / 3], axis=1).astype(np.float32)


def changing(request: Request) -> np.ndarray:
    """Every chunk says something else; the first entry of an action is the step it is for."""
    chunk = np.random.default_rng(request.number).normal(size=(CHUNK, ACTION))
    chunk[:, 0] = np.arange(request.step, request.step + CHUNK)
    return chunk.astype(np.float32)


@dataclass
class Course:
    """What a drive did, tick by tick."""

    actions: list[np.ndarray | None] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answered: dict[int, int] = field(default_factory=dict)  # request number → tick

    @property
    def executed(self) -> np.ndarray:
        return np.array([action for action in self.actions if action is not None])


def drive(executor: ChunkExecutor, policy, delays, ticks: int = 80) -> Course:
    """Runs the loop of a controller; delay i is that of request i, None one that is lost."""
    course, waiting = Course(), []
    for tick in range(ticks):
        bound = executor.ticks_to_request
        due = [entry for entry in waiting if entry[0] <= tick]
        waiting = [entry for entry in waiting if entry[0] > tick]
        for _, request in due:
            executor.deliver(request, policy(request))
            course.answered[request.number] = tick
        request = executor.request()
        assert request is None or bound == 0
        assert executor.request() is None
        if request is not None:
            assert (request.tick, request.step) == (tick, executor.step)
            course.requests.append(request)
            delay = delays[request.number % len(delays)]
            if delay == 0:
                executor.deliver(request, policy(request))
                course.answered[request.number] = tick
            elif delay is None:
                executor.lose(request)
            else:
                waiting.append((tick + delay, request))
        course.actions.append(executor.act())
    return course


def told(executor: ChunkExecutor) -> dict[str, int]:
    return vars(executor.counts)


@every_strategy
@settings(deadline=None)  # however busy the machine is
@given(delays=DELAYS)
def test_one_action_or_a_hold_a_tick(name, options, delays):
    executor = chunking.build(name, **options)
    course = drive(executor, changing, delays)
    executed = course.executed
    assert all(action is None or action.shape == (ACTION,) for action in course.actions)
    assert executed.dtype == np.float32 or not len(executed)
    counts = executor.counts
    assert counts.ticks == 80
    assert counts.ticks - counts.holds == len(executed) == executor.step
    settled = counts.used + counts.late + counts.superseded + counts.lost
    assert counts.requests - executor.in_flight <= settled <= counts.requests


@every_strategy
@settings(deadline=None)
@given(delays=DELAYS)
def test_an_action_is_executed_at_the_step_it_was_planned_for(name, options, delays):
    executed = drive(chunking.build(name, **options), changing, delays).executed
    if len(executed):
        np.testing.assert_array_equal(executed[:, 0], np.arange(len(executed)))


@every_strategy
@settings(deadline=None)
@given(delays=DELAYS)
def test_consistent_plans_are_reproduced_bit_for_bit(name, options, delays):
    executed = drive(chunking.build(name, **options), consistent, delays).executed
    whole = consistent(Request(0, 0, 0, 0, np.zeros((0, 0))))
    plan = [consistent(Request(0, 0, 0, k, np.zeros((0, 0))))[0] for k in range(len(executed))]
    if len(executed):
        np.testing.assert_array_equal(executed, np.array(plan))
        np.testing.assert_array_equal(executed[:CHUNK], whole[: len(executed)])


@every_strategy
def test_without_delay_nothing_is_held(name, options):
    executor = chunking.build(name, **options)
    assert len(drive(executor, changing, [0]).executed) == 80
    assert executor.counts.holds == executor.counts.lost == executor.counts.late == 0


@every_strategy
def test_one_chunk_alone_is_executed_as_it_is_and_then_held(name, options):
    course = drive(chunking.build(name, **options), changing, [0] + [None] * 200, ticks=30)
    first = changing(course.requests[0])
    length = options.get("execute", CHUNK) if name == "receding_horizon" else CHUNK
    if options.get("asynchronous"):
        length = CHUNK
    np.testing.assert_array_equal(course.executed, first[:length])
    assert course.actions[length:] == [None] * (30 - length)


@every_strategy
@settings(deadline=None)
@given(delays=st.lists(st.integers(0, 25), min_size=1, max_size=30))
def test_until_the_answer_comes_what_was_planned_is_executed(name, options, delays):
    course = drive(chunking.build(name, **{**options, "in_flight": 1}), changing, delays)
    steps = np.cumsum([0] + [action is not None for action in course.actions])
    for request in course.requests:
        arrival = steps[course.answered.get(request.number, len(course.actions))]
        executed = course.executed[request.step : arrival]
        assert len(executed) <= len(request.plan)
        if len(executed):
            np.testing.assert_array_equal(executed, request.plan[: len(executed)])


@every_strategy
@settings(deadline=None)
@given(delays=DELAYS)
def test_a_reset_forgets_everything(name, options, delays):
    used, fresh = (chunking.build(name, **options) for _ in range(2))
    before = drive(used, changing, delays)
    used.reset()
    assert used.counts == Counts()
    for request in before.requests:
        assert not used.deliver(request, changing(request))
    assert used.counts.stale == len(before.requests)
    used.reset()
    again, anew = drive(used, changing, delays), drive(fresh, changing, delays)
    np.testing.assert_array_equal(again.executed, anew.executed)
    assert told(used) == told(fresh)


@every_strategy
def test_an_unanswered_request_is_given_up_and_asked_again(name, options):
    executor = chunking.build(name, **{**options, "patience": 7, "in_flight": 1})
    requests = []
    for _ in range(16):
        requests.append(executor.request())
        executor.act()
    asked = [tick for tick, request in enumerate(requests) if request]
    assert asked == [0, 7, 14]
    assert executor.counts.lost == 2
    assert not executor.deliver(requests[0], changing(requests[0]))
    assert executor.counts.stale == 1
    assert executor.deliver(requests[14], changing(requests[14]))


@every_strategy
def test_an_answer_counts_once(name, options):
    executor = chunking.build(name, **options)
    request = executor.request()
    assert executor.deliver(request, changing(request))
    assert not executor.deliver(request, changing(request))
    assert (executor.counts.used, executor.counts.stale) == (1, 1)


@pytest.mark.parametrize("name", [n for n in chunking.names() if n != "receding_horizon"])
def test_an_answer_all_of_whose_steps_are_past_is_late(name):
    options = {} if name == "temporal_ensembling" else {"execute": 4}
    executor = chunking.build(name, in_flight=2, **options)
    first = executor.request()
    executor.deliver(first, changing(first))
    while (slow := executor.request()) is None:
        executor.act()
    for _ in range(CHUNK):
        executor.act()
        request = executor.request()
        if request is not None:
            executor.deliver(request, changing(request))
    assert executor.step >= slow.step + CHUNK
    plan = executor._plan().copy()
    assert not executor.deliver(slow, changing(slow))
    assert executor.counts.late == 1
    np.testing.assert_array_equal(executor._plan(), plan)


@pytest.mark.parametrize("name", ["receding_horizon", "real_time_chunking"])
def test_an_answer_overtaken_by_a_newer_one_is_dropped(name):
    options = {"asynchronous": True} if name == "receding_horizon" else {}
    executor = chunking.build(name, execute=2, in_flight=2, **options)
    first = executor.request()
    executor.deliver(first, changing(first))
    older, newer = _next_request(executor), _next_request(executor)
    assert executor.deliver(newer, changing(newer))
    plan = executor._plan().copy()
    assert not executor.deliver(older, changing(older))
    assert executor.counts.superseded == 1
    np.testing.assert_array_equal(executor._plan(), plan)


def test_an_ensemble_takes_answers_in_any_order():
    orders = []
    for order in ((0, 1), (1, 0)):
        executor = chunking.build("temporal_ensembling", in_flight=2, decay=0.3)
        first = executor.request()
        executor.deliver(first, changing(first))
        pair = [_next_request(executor), _next_request(executor)]
        for index in order:
            assert executor.deliver(pair[index], changing(pair[index]))
        orders.append(executor.act())
    np.testing.assert_array_equal(*orders)


def _next_request(executor: ChunkExecutor) -> Request:
    while True:
        executor.act()
        request = executor.request()
        if request is not None:
            return request


@every_strategy
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_refused(name, options, poison):
    executor = chunking.build(name, **options)
    request = executor.request()
    chunk = changing(request)
    chunk[3, 1] = poison
    with pytest.raises(ActionError, match=r"must be finite. Received: '1 NaN or infinite"):
        executor.deliver(request, chunk)
    assert executor.act() is None


@every_strategy
@pytest.mark.parametrize("shape", [(CHUNK,), (0, ACTION), (1, CHUNK, ACTION)])
def test_an_answer_of_another_shape_is_refused(name, options, shape):
    executor = chunking.build(name, **options)
    with pytest.raises(ActionError, match=r"shape \(Ta, A\)"):
        executor.deliver(executor.request(), np.zeros(shape))


@every_strategy
def test_what_the_caller_does_to_its_arrays_changes_no_plan(name, options):
    executor = chunking.build(name, **options)
    request = executor.request()
    chunk = changing(request)
    executor.deliver(request, chunk)
    chunk[:] = 99.0
    first = executor.act()
    first[:] = 99.0
    assert executor.act()[0] == 1.0


@pytest.mark.parametrize("name", chunking.names())
def test_the_configuration_file_says_the_defaults(name):
    path = config_dir() / "execution" / f"{name}.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    defaults = {key: p.default for key, p in chunking.EXECUTIONS.options(name).items()}
    assert values == {"name": name, **defaults}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("receding_horizon", {"execute": 0}, "execute must be in"),
        ("receding_horizon", {"asynchronous": True}, "after how many steps"),
        ("receding_horizon", {"in_flight": 2}, "in_flight must be 1"),
        ("receding_horizon", {"patience": 0}, "patience must be in"),
        ("temporal_ensembling", {"decay": -1.0}, "decay must be above 0"),
        ("temporal_ensembling", {"decay": float("nan")}, "decay must be above 0"),
        ("real_time_chunking", {"candidates": 0}, "candidates must be in"),
        ("real_time_chunking", {"correction_rate": 0.0}, "correction_rate must be above 0"),
        ("warm_start", {"time": 0.0}, r"time must be in \(0, 1\]"),
        ("warm_start", {"times": 0.5}, "no option of this name"),
        ("real_time_chunk", {}, "did you mean 'real_time_chunking'"),
    ],
)
def test_an_option_out_of_range_is_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        chunking.build(name, **options)


@pytest.mark.parametrize("name", ["receding_horizon", "real_time_chunking", "warm_start"])
def test_more_steps_than_a_chunk_has_are_refused(name):
    executor = chunking.build(name, execute=CHUNK + 1)
    request = executor.request()
    with pytest.raises(ConfigError, match=f"Received: 'execute={CHUNK + 1}, Ta={CHUNK}'"):
        executor.deliver(request, changing(request))


def test_no_torch_is_loaded():
    code = "import sys, mfpolicy.deployment.chunking; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

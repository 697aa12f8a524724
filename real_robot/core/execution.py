"""`Execution`: requests to the policy, its answers, and the plan, in time with the observations."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mfpolicy.deployment import chunking
from mfpolicy.errors import ActionError, ConfigError
from real_robot.causes import Cause, Refusals
from real_robot.core.deciding import Answer, Decider
from real_robot.parameters import RobotParameters

_REMEMBERED = 10_000  # commands whose time is kept; more than any chunk has actions
_ALL_HERE = {"receding_horizon", "real_time_chunking", "temporal_ensembling"}
_READERS = {
    "execute": {"receding_horizon", "real_time_chunking"},
    "asynchronous": {"receding_horizon"},
}


class Execution:
    """Drives a chunk executor by ticks and a decider by requests.

    An answer's first action is for the step at which its observation was *made*: what was
    commanded since the stamp of the observation is past, by camera delay and by the decision's.

    Args:
        parameters: says how chunks are executed.
        decider: computes decisions.
        n_action_steps: Ta.
        refusals: counts decisions that came too late to be executed at all.

    Attributes:
        took_s: how long the last decisions took, the newest last.
        begun_stamp_s: the stamp of the observation whose decision was executed for the first time
            by the last `commanded`; None where that went on with an earlier decision.
        late: why the last decision could not be executed at all; empty where it could.

    Raises:
        ConfigError: the execution is unknown, cannot be had here, or does not fit the chunks.
    """

    def __init__(
        self,
        parameters: RobotParameters,
        decider: Decider,
        *,
        n_action_steps: int,
        refusals: Refusals,
    ) -> None:
        self._decider, self._timeout_s = decider, parameters.policy_timeout_s
        self._refusals = refusals
        self._compensates = parameters.latency_compensation
        self._executor = build_executor(parameters, n_action_steps)
        self.took_s: deque[float] = deque(maxlen=1000)
        self._submitted_s = 0.0
        self.restart()

    def restart(self) -> None:
        """Forgets plan and requests; answers that are under way come too late."""
        self._executor.reset()
        self._asked: dict[int, tuple[chunking.Request, float]] = {}  # with the observation's stamp
        self._accepted_stamp_s: float | None = None
        self.late = ""
        self.begun_stamp_s: float | None = None
        self._commanded_s: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def ticks_to_request(self) -> int:
        """Ticks during which no observation is needed, at least."""
        return self._executor.ticks_to_request

    def collect(self) -> tuple[Cause, str] | None:
        """Takes the answers that are there; says what is wrong with one, if anything."""
        problem: tuple[Cause, str] | None = None
        for answer in self._decider.answers():
            self.took_s.append(answer.took_s)
            asked, stamp_s = self._asked.get(answer.request.number, (None, 0.0))
            if asked is not answer.request:
                continue  # of before a restart
            del self._asked[answer.request.number]
            if answer.actions is None:
                problem = Cause.POLICY_ERROR, answer.error
            elif answer.took_s > self._timeout_s:
                problem = Cause.POLICY_OVERRUN, f"{answer.took_s:.3f} s"
            else:
                problem = self._deliver(answer, answer.actions, stamp_s) or problem
                continue
            self._executor.lose(answer.request)
        return problem

    def ask(
        self, observation: Mapping[str, NDArray[np.float32]], stamp_s: float, now_s: float
    ) -> None:
        """Asks for a decision on an observation made at ``stamp_s``, where one is due."""
        request = None if self._decider.is_busy else self._executor.request()
        if request is None:
            return
        since = sum(1 for sent_s in self._commanded_s if sent_s > stamp_s)
        step = request.step - since if self._compensates else request.step
        self._asked[request.number], self._submitted_s = (request, stamp_s), now_s
        self._decider.submit(request, step, observation)

    def is_late(self, now_s: float) -> bool:
        """Whether a decision has not come within the policy's time."""
        waited_s = now_s - self._submitted_s
        return self._decider.is_busy and not 0 <= waited_s <= self._timeout_s

    def act(self, points: int) -> NDArray[np.float32] | None:
        """The actions (K, A) from this tick on, at most ``points``; None where there are none."""
        plan = self._executor.plan[:points] if points > 1 else None
        action = self._executor.act()
        if action is None:
            return None
        return action[None] if plan is None else plan

    def commanded(self, now_s: float) -> None:
        """The actions of this tick went out."""
        self._commanded_s.append(now_s)
        self.begun_stamp_s, self._accepted_stamp_s = self._accepted_stamp_s, None

    def _deliver(
        self, answer: Answer, actions: NDArray[np.floating], stamp_s: float
    ) -> tuple[Cause, str] | None:
        past = self._executor.step - answer.step
        try:
            request = dataclasses.replace(answer.request, step=answer.step)
            is_taken = self._executor.deliver(request, actions)
        except ActionError as error:
            return Cause.NAN_ACTION, str(error)
        if is_taken and len(self._executor.plan):
            self._accepted_stamp_s, self.late = stamp_s, ""
        else:
            self.late = f"{past} of its actions were due before"
            self._refusals.add(Cause.LATE_DECISION, self.late)
        return None


def build_executor(parameters: RobotParameters, n_action_steps: int) -> chunking.ChunkExecutor:
    """The executor that the parameters name.

    Raises:
        ConfigError: it is unknown, does not fit the chunks, or needs to look into the policy.
    """
    name, execute = parameters.execution, parameters.execute or None
    _refuse_unread(parameters)
    if name == "receding_horizon":
        executor = chunking.build(name, execute=execute, asynchronous=parameters.asynchronous)
    elif name == "real_time_chunking":  # its mixing alone: chunks come from one candidate each
        executor = chunking.build(name, execute=execute or n_action_steps, candidates=1)
    elif name == "temporal_ensembling":
        executor = chunking.build(name)
    else:
        chunking.EXECUTIONS.get(name)
        raise ConfigError(
            "execution on a robot must be receding_horizon, real_time_chunking or "
            "temporal_ensembling",
            received=name,
            remedy="others steer the policy's sampler, which a compiled policy does not offer",
        )
    executor.check(n_action_steps)
    return executor


def _refuse_unread(parameters: RobotParameters) -> None:
    """Raises ConfigError for an option that the execution would pass over in silence."""
    for option, readers in _READERS.items():
        if getattr(parameters, option) and parameters.execution in _ALL_HERE - readers:
            raise ConfigError(
                f"{option} must be left out with {parameters.execution}, which does not read it",
                received=getattr(parameters, option),
                remedy=f"leave it out, or use {' or '.join(sorted(readers))}",
            )

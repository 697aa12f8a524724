"""The teacher of a run whose objective learns from one: found or trained, checked, and shown.

A teacher that is trained is an ordinary run in the folder ``teacher`` of the student's: it resumes
as any run does, and a finished one is taken as it is. The student needs it no more once trained.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfpolicy import objectives
from mfpolicy.config.schema import TrainConfig
from mfpolicy.data.durable import write_durably
from mfpolicy.data.joint import Windows
from mfpolicy.errors import ConfigError, RunError
from mfpolicy.objectives.base import Objective
from mfpolicy.objectives.interpolant import Interpolant
from mfpolicy.objectives.noise import Noise
from mfpolicy.objectives.teacher import TeacherOptions
from mfpolicy.policy import Policy, PolicySpec, load_policy, read_spec
from mfpolicy.policy.files import WEIGHTS
from mfpolicy.training.distributed import World
from mfpolicy.training.run_folder import Claim
from mfpolicy.training.sampling import sampler_of

if TYPE_CHECKING:
    from mfpolicy.training.train import TrainSummary

FOLDER = "teacher"
RECORD = "teacher.json"
_ALIKE = (
    *("task", "recipe", "control_rate_hz", "points", "point_dim", "state_dim", "action_dim"),
    *("n_obs_steps", "horizon"),
)
"""What student and teacher must see and do alike."""


def prepare_teacher(
    policy: Policy,
    windows: Windows,
    config: TrainConfig,
    claim: Claim,
    train: Callable[[TrainConfig], TrainSummary],
    world: World,
) -> TrainSummary | None:
    """Gives the policy the teacher that its objective asks for; does nothing for others.

    The policy takes the teacher's normaliser, since a velocity is one of normalised actions, its
    demonstrations' seeds, and, as the options say, its weights.

    Args:
        policy: the student, as it starts.
        windows: its data.
        config: its run.
        claim: on its folder, which is taken before a teacher is trained into it.
        train: trains a run; it is called for the teacher's.
        world: this process among those that train together, which all call this.

    Returns:
        Where the teacher's training was interrupted, what to say of the run; else None.

    Raises:
        ConfigError: the teacher's objective learns no velocity, or that of other noise or paths,
            or its network is not the student's, whose weights are to start from it.
        RunError: there is no such teacher, it sees or does something else than the student, or it
            is not the one that an interrupted run had.
    """
    options = policy.objective.teacher
    if options is None:
        return None
    sampler_of(windows, config)  # refuses too little data
    if options.run is not None:
        _check(read_spec(options.run), policy, options)
        run = Path(options.run)
    else:
        run = claim.run / FOLDER
        teachers = _teachers_run(config, policy.objective, options, run)
        _check_objective(teachers.objective, policy.objective)
    world.wait()  # no process may look at the folder once another has changed it
    if world.leads and not claim.changed:  # a run that goes on with changes has its folder already
        claim.take()
    if options.run is None:
        summary = train(teachers)
        if summary.interrupted:
            return dataclasses.replace(summary, run=claim.run, step=0, loss=None)
    if world.leads:
        _record(run, claim.run, forced=config.resume == "force")
    _teach(policy, load_policy(run, policy.device), start=options.start)
    return None


def _teachers_run(
    config: TrainConfig, student: Objective, options: TeacherOptions, out: Path
) -> TrainConfig:
    """The configuration of the teacher's run; a resume of it where it has begun."""
    objective: dict[str, Any] = {"name": options.objective}
    if student.noise != Noise():
        objective["noise"] = dataclasses.asdict(student.noise)
    resume = config.resume or True
    training = dataclasses.replace(config.training, snapshots=0)
    config = dataclasses.replace(
        config, out=str(out), objective=objective, resume=resume, training=training
    )
    if options.steps is None:
        return config
    training = dataclasses.replace(training, steps=options.steps)
    return dataclasses.replace(config, training=training, budget=None)


def _teach(policy: Policy, teacher: Policy, *, start: bool) -> None:
    own, theirs = policy.state_dict(), teacher.state_dict()
    taken = [name for name in own if name in theirs and (start or name.startswith("normalizer."))]
    policy.load_state_dict({**own, **{name: theirs[name] for name in taken}})
    policy.spec = policy.spec.with_seeds_of(teacher.spec)
    policy.learn_from(teacher)


def _check(teacher: PolicySpec, policy: Policy, options: TeacherOptions) -> None:
    theirs, own = _plain(teacher), _plain(policy.spec)
    several = teacher.multitask or policy.spec.multitask
    if several and teacher.tasks != policy.spec.tasks:
        raise RunError(
            "a teacher must be trained for the tasks of its student, in their order",
            received=f"teacher {list(teacher.tasks)}, student {list(policy.spec.tasks)}",
            remedy="give another objective.teacher.run, or leave it out to train one",
        )
    differing = {key: (theirs[key], own[key]) for key in _ALIKE if theirs[key] != own[key]}
    if differing:
        raise RunError(
            "a teacher must be trained for what its student sees and does",
            received="; ".join(
                f"{key}: {his!r} for {its!r}" for key, (his, its) in differing.items()
            ),
            remedy="give another objective.teacher.run, or leave it out to train one",
        )
    objective = _check_objective(theirs["objective"], policy.objective)
    theirs["network"] |= objective.network_options
    own["network"] |= policy.objective.network_options
    for spec, plain in ((teacher, theirs), (policy.spec, own)):
        plain["multitask"] = {"condition": (spec.multitask or {}).get("condition")}
    alike = ("encoder", "network", "multitask")
    parts = [part for part in alike if _given(theirs[part]) != _given(own[part])]
    if options.start and parts:
        raise ConfigError(
            f"a student that starts from its teacher's weights must have its {' and '.join(parts)}",
            received={part: {"teacher": theirs[part], "student": own[part]} for part in parts},
            remedy="set objective.teacher.start=false, or choose the teacher's "
            + " and ".join(parts),
        )


def _check_objective(teacher: Mapping[str, Any], student: Objective) -> Objective:
    """Builds the teacher's objective and refuses one that its student cannot learn from."""
    objective = objectives.build(**teacher)
    if not (
        objective.predicts == "velocity"
        or isinstance(objective, objectives.AverageVelocityObjective)
    ):
        raise ConfigError(
            "a teacher's objective must learn the velocity at every point",
            received=teacher["name"],
            remedy="take a teacher of objective flow_matching",
        )
    path = getattr(objective, "path", Interpolant())
    if objective.noise != student.noise or not path.straight:
        raise ConfigError(
            "a teacher must have its student's noise, on straight paths",
            received={"noise": (objective.noise, student.noise), "path": path},
            remedy="set objective.noise to the teacher's, or take another teacher",
        )
    return objective


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options but those at null, which a teacher of an earlier version does not name."""
    return {key: value for key, value in options.items() if value is not None}


def _plain(spec: PolicySpec) -> dict[str, Any]:
    """The spec as a file would give it: lists for tuples."""
    return json.loads(json.dumps(spec.to_dict()))


def _record(teacher: Path, run: Path, *, forced: bool) -> None:
    """Notes in the run folder which weights teach, and refuses others when the run goes on."""
    weights = teacher if teacher.suffix == ".safetensors" else teacher / WEIGHTS
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    path = run / RECORD
    before = json.loads(path.read_text()) if path.is_file() else None
    if before and before["sha256"] != digest and not forced:
        raise RunError(
            "a resumed run must go on with the teacher it started with",
            received=f"{teacher} with other weights than {before['run']} had",
            remedy="put its weights back, choose another out=, or accept it with resume=force",
        )
    write_durably(path, json.dumps({"run": str(teacher), "sha256": digest}).encode())

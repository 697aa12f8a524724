"""From a configuration to a closed loop that ran, and its summary on disk."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfpolicy.cli.console import progress_bar
from mfpolicy.cli.eval import environment_of, evaluate_run
from mfpolicy.cli.robot.summary import SUMMARY, summarize
from mfpolicy.config import RobotConfig, compose
from mfpolicy.errors import ConfigError
from real_robot.simulated import (
    Bridge,
    LoopEpisode,
    LoopPlace,
    PolicyProcess,
    SimulatedRobot,
    bridge_parameters,
    ros_python,
    run_episodes,
)
from real_robot.simulated.environments import own_domain, ros_versions

if TYPE_CHECKING:
    from mfpolicy.evaluation import EvalSummary
    from mfpolicy.policy import PolicySpec

EPISODES = "episodes.jsonl"


def drive(config: RobotConfig) -> dict[str, Any]:
    """Runs the closed loop of a configuration; returns what ``summary.json`` holds.

    Raises:
        BackendError: an environment of ROS is missing.
        RunError: the run does not fit, or a process ended.
        ConfigError: the policy cannot drive a robot.
    """
    pythons = {
        side: ros_python(getattr(config, side), config.environments) for side in ("bridge", "peer")
    }
    sides = {
        side: {"distribution": getattr(config, side), **ros_versions(python)}
        for side, python in pythons.items()
    }
    spec, task = _checked(config)
    folder = Path(config.out or Path(config.run) / "robot")
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (folder / SUMMARY, folder / EPISODES):
        stale.unlink(missing_ok=True)
    begun_s = time.monotonic()
    world, episodes = _loop(config, spec, task, folder, pythons)
    loop_s = time.monotonic() - begun_s
    in_process = _in_process(config, task) if config.compare else None
    summary = summarize(config, world, episodes, in_process, sides=sides, wall_seconds=loop_s)
    from mfpolicy.evaluation.records import write_json

    write_json(folder / SUMMARY, summary)
    return summary


def _checked(config: RobotConfig) -> tuple[PolicySpec, str]:
    from mfpolicy.evaluation.run_folder import check_run, check_unseen
    from mfpolicy.policy import read_spec

    check_run(Path(config.run))
    environment_of(_eval_config(config, config.task))  # task and renderer are there
    spec = read_spec(config.run)
    seeds = range(config.seed, config.seed + config.episodes)
    check_unseen(Path(config.run), seeds, config.task if spec.several else None)
    if spec.recipe is None or spec.control_rate_hz is None:
        raise ConfigError(
            "a policy on a robot must say how its point clouds were made, and its rate",
            received={"recipe": spec.recipe, "control_rate_hz": spec.control_rate_hz},
            remedy="train on a dataset that holds both, as `mfpolicy collect` makes them",
        )
    if further := spec.recipe.get("further_cameras"):
        raise ConfigError(
            "the simulated robot has one camera",
            received=[spec.recipe["camera"], *(each["camera"] for each in further)],
            remedy="run a policy of one camera, or evaluate this one with `mfpolicy eval`",
        )
    return spec, config.task or spec.task or ""


def _loop(
    config: RobotConfig,
    spec: PolicySpec,
    task: str,
    folder: Path,
    pythons: dict[str, Path],
) -> tuple[dict[str, Any], list[LoopEpisode]]:
    place = LoopPlace(folder, own_domain() if config.domain_id is None else config.domain_id)
    steps_hz = float(spec.control_rate_hz or 0) * config.realtime_factor
    seeds = range(config.seed, config.seed + config.episodes)
    successes = 0

    def done(episode: LoopEpisode) -> None:
        nonlocal successes
        episodes.append(episode)
        successes += bool(episode.result["success_any"])
        with (folder / EPISODES).open("a") as file:
            file.write(json.dumps(dataclasses.asdict(episode)) + "\n")
        show(len(episodes), successes)

    episodes: list[LoopEpisode] = []
    try:
        with (
            progress_bar("robot", config.episodes, "successes") as show,
            PolicyProcess(place, config.run, *_served(config, spec, task)) as server,
            SimulatedRobot(
                place,
                pythons["peer"],
                task,
                steps_hz=steps_hz,
                clock=config.clock,
                camera=config.camera,
                recipe=spec.recipe,
                color=bool(spec.color),
                horizon=config.horizon,
            ) as robot,
            Bridge(
                place,
                pythons["bridge"],
                bridge_parameters(
                    robot.world, camera=config.camera, server=server.url, steps_hz=steps_hz
                ),
            ),
        ):
            robot.change("configure")
            robot.change("activate")
            run_episodes(robot, seeds, steps_hz=steps_hz, done=done)
            return robot.world, episodes
    finally:
        shutil.rmtree(folder / "packages", ignore_errors=True)


def _served(config: RobotConfig, spec: PolicySpec, task: str) -> list[str]:
    words = [f"device={config.device}"]
    return [*words, f"task={task}"] if spec.several else words


def _in_process(config: RobotConfig, task: str) -> EvalSummary:
    wanted = _eval_config(config, task)
    make_env = environment_of(wanted)
    if config.horizon is not None:
        make_env = functools.partial(make_env, horizon=config.horizon)
    with progress_bar("in process", config.episodes, "successes") as show:
        successes = 0

        def done(count: int, _total: int, result: Any) -> None:
            nonlocal successes
            successes += result.success_any
            show(count, successes)

        return evaluate_run(wanted, make_env, progress=done)


def _eval_config(config: RobotConfig, task: str | None) -> Any:
    words = [config.run, f"episodes={config.episodes}", f"seed={config.seed}", "videos=false"]
    # a name of its own: an evaluation of the run keeps its summary
    words += [f"device={config.device}", f"name=robot-{time.strftime('%Y%m%d-%H%M%S')}"]
    words += [f"workers={config.workers}"] if config.workers else []
    return compose("eval", words + ([f"task={task}"] if task else []))

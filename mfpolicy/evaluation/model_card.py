"""The model card: README.md of a run folder, made only from the files in that folder."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mfpolicy import objectives
from mfpolicy.evaluation.perturbed import in_words, words
from mfpolicy.evaluation.records import SUMMARY, write_text
from mfpolicy.evaluation.run_folder import check_run, checkpoint_step, read_config, read_metrics
from mfpolicy.evaluation.summary import EvalSummary, read_summary
from mfpolicy.policy import PolicySpec, read_spec

CARD = "README.md"


def write_model_card(run: Path) -> Path:
    """Makes ``README.md`` anew from the run's configuration, weights, metrics and evaluations.

    Raises:
        RunError: a file of the run is missing or damaged.
    """
    check_run(run)
    summaries = [read_summary(path.parent) for path in sorted(run.glob(f"eval/*/{SUMMARY}"))]
    config, spec = read_config(run), read_spec(run)
    sections = [
        _front_matter(run, config, spec, summaries),
        _introduction(run, spec),
        _results(summaries),
        _pictures(run, summaries),
        _training(run, config, spec),
        _usage(run, spec, summaries),
        _limits(config, spec),
    ]
    write_text(run / CARD, "\n\n".join(section for section in sections if section) + "\n")
    return run / CARD


def _front_matter(
    run: Path, config: dict[str, Any], spec: PolicySpec, summaries: Sequence[EvalSummary]
) -> str:
    import yaml

    header: dict[str, Any] = {
        "license": "other" if config.get("imported") else "mit",
        "library_name": "mfpolicy",
        "pipeline_tag": "robotics",
        "tags": ["robotics", "imitation-learning", "point-cloud", str(spec.objective["name"])],
    }
    if summaries:
        header["model-index"] = [
            {"name": _name(run), "results": [_index_entry(summary) for summary in summaries]}
        ]
    return "---\n" + yaml.safe_dump(header, sort_keys=False) + "---"


def _index_entry(summary: EvalSummary) -> dict[str, Any]:
    seeds = f"{summary.episodes} seeds from {summary.seeds[0]}{_perturbed(summary)}"
    rates = {
        "success at any step": summary.success_any.rate,
        "success at the end": summary.success_end.rate,
        **{f"flag {name} at any step": rate.rate for name, rate in summary.flags.items()},
    }
    return {
        "task": {"type": "robotics", "name": summary.task},
        "dataset": {"type": summary.task, "name": seeds},
        "metrics": [
            {"type": "success_rate", "name": name, "value": rate} for name, rate in rates.items()
        ],
    }


def _introduction(run: Path, spec: PolicySpec) -> str:
    names = ", ".join(f"`{task}`" for task in spec.tasks)
    task = f"for {names}" if names else "for a task its data does not name"
    points = f"{spec.points} points" if spec.points else "a point cloud"
    frame = "in the world frame in metres" if spec.recipe else "in the frame of its training data"
    return (
        f"# {_name(run)}\n\n"
        f"A point-cloud policy {task}, preset `{spec.preset}`: encoder `{spec.encoder['name']}`, "
        f"network `{spec.network['name']}`, objective `{spec.objective['name']}`. It sees the last "
        f"{spec.n_obs_steps} observations ({points} {frame}, "
        f"{spec.state_dim} state values) and gives {spec.n_action_steps} actions of "
        f"{spec.action_dim} values to execute."
    )


def _results(summaries: Sequence[EvalSummary]) -> str:
    if not summaries:
        return ""
    rows = [
        "| evaluation | task | seeds | NFE | success at any step | success at the end "
        "| latency p50 / p99 |",
        "|---|---|---|---|---|---|---|",
    ]
    for summary in summaries:
        total = summary.latency_ms["total"]
        rows.append(
            f"| `{summary.name}`{_perturbed(summary)} | {summary.task} "
            f"| {summary.seeds[0]} to {summary.seeds[1]} "
            f"| {summary.nfe} | {summary.success_any} | {summary.success_end} "
            f"| {total['p50']:.2f} / {total['p99']:.2f} ms |"
        )
    newest = max(summaries, key=lambda summary: summary.date)
    return (
        "## Results\n\n"
        + "\n".join(rows)
        + "\n\n"
        + _flags(summaries)
        + "Intervals are Wilson's; the weights are those of the last checkpoint, not "
        "of the best. Latency is measured from host observation in to host action out, warm, "
        f"in {newest.workers} worker processes at a time with {newest.threads} thread each, on "
        f"{newest.machine.get('gpu', newest.machine['cpu'])} ({newest.machine['cores']} cores, "
        f"torch {newest.machine['torch']})."
    )


def _perturbed(summary: EvalSummary) -> str:
    return "" if summary.perturbation is None else f", perturbed: {in_words(summary.perturbation)}"


def _flags(summaries: Sequence[EvalSummary]) -> str:
    lines = [
        f"- `{summary.name}`, flag `{name}` at any step: {rate}"
        for summary in summaries
        for name, rate in summary.flags.items()
    ]
    return "Further flags that the task names:\n\n" + "\n".join(lines) + "\n\n" if lines else ""


def _pictures(run: Path, summaries: Sequence[EvalSummary]) -> str:
    lines = []
    for summary in summaries:
        for picture in ("point_cloud.png", "learning_curve.png"):
            path = Path("eval") / summary.name / picture
            if (run / path).is_file():
                title = picture.removesuffix(".png").replace("_", " ")
                lines.append(f"![{title}, {summary.name}]({path.as_posix()})")
    lines += [
        f"[{path.stem}](videos/{path.name})" for path in sorted((run / "videos").glob("*.mp4"))
    ]
    return "## To look at\n\n" + "\n\n".join(lines) if lines else ""


def _training(run: Path, config: dict[str, Any], spec: PolicySpec) -> str:
    training, metrics = config.get("training", {}), read_metrics(run)
    rates = [line["samples_per_s"] for line in metrics if "samples_per_s" in line]
    origin = config.get("imported", {})
    facts = {
        "imported from": "`{checkpoint}` of {kind} ({weights} weights, SHA-256 {sha256})".format(
            **origin
        )
        if origin
        else None,
        "data": config.get("data"),
        "training seed": config.get("seed"),
        "steps": checkpoint_step(run),
        "batch size": training.get("batch_size"),
        "learning rate": training.get("learning_rate"),
        "last training loss": f"{metrics[-1]['loss']:.4g}" if metrics else None,
        "samples per second": f"{statistics.median(rates):.0f}" if rates else None,
        "control rate": f"{spec.control_rate_hz:g} Hz" if spec.control_rate_hz else None,
    }
    lines = [f"- {name}: {value}" for name, value in facts.items() if value is not None]
    return "## Training\n\n" + "\n".join(lines) + "\n\n`config.yaml` holds every option."


def _usage(run: Path, spec: PolicySpec, summaries: Sequence[EvalSummary]) -> str:
    points = spec.points or "P"
    colors = ", then red, green, blue from 0 to 255" if spec.color else ""
    several = f', "task": "{spec.tasks[0]}"' if spec.several else ""
    again = _evaluate_again(spec, summaries[-1]) if summaries else ""
    return (
        "## Use\n\n```python\nimport mfpolicy\n\n"
        f'policy = mfpolicy.load_policy("{run.as_posix()}")\n'
        f"# point_cloud (B, {spec.n_obs_steps}, {points}, {spec.point_dim}) in metres{colors}, "
        f"agent_pos (B, {spec.n_obs_steps}, {spec.state_dim})\n"
        'actions = policy.predict({"point_cloud": point_cloud, "agent_pos": agent_pos'
        f"{several}}})\n"
        f"# (B, {spec.n_action_steps}, {spec.action_dim})\n```\n\n"
        f"Evaluate again:\n\n```bash\n{f'mfpolicy eval {run.as_posix()} {again}'.strip()}\n```"
    )


def _evaluate_again(spec: PolicySpec, summary: EvalSummary) -> str:
    given = [f"episodes={summary.episodes}", f"seed={summary.seeds[0]}"]
    if summary.nfe != objectives.build(**spec.objective).default_steps:
        given.append(f"steps={summary.nfe}")
    if summary.noise_scale != 1:
        given.append(f"noise_scale={summary.noise_scale:g}")
    if summary.guidance_scale is not None:
        given.append(f"guidance_scale={summary.guidance_scale:g}")
    for option, value in (summary.execution or {}).items():
        key = "execution" if option == "name" else f"execution.{option}"
        given.append(f"{key}={'null' if value is None else str(value).lower()}")
    if summary.latency_ms_injected:
        given.append(f"latency_ms={summary.latency_ms_injected:g}")
    given += [f"{key}={value}" for key, value in (summary.compiled or {}).items()]
    given += words(summary.perturbation)
    if summary.task != spec.task:
        given.append(f"task={summary.task}")
    return " ".join(given)


def _limits(config: dict[str, Any], spec: PolicySpec) -> str:
    recipe = "\n".join(f"- {key}: {value}" for key, value in (spec.recipe or {}).items())
    cloud = (
        "Its point clouds must be made as in training:\n\n" + recipe
        if recipe
        else "How its training clouds were made is not on record; make new ones the same way."
    )
    terms = (
        "That of the checkpoint it was imported from."
        if config.get("imported")
        else "MIT, like the package that made it."
    )
    return f"## Limits\n\n{cloud}\n\n## License\n\n{terms}"


def _name(run: Path) -> str:
    return run.resolve().name

"""``mfpolicy import``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mfpolicy.cli.console import output, print_rows
from mfpolicy.cli.environments import simulators
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import compose

if TYPE_CHECKING:
    from mfpolicy.deployment.importing import Imported

SHOWN = 12


def run(words: Sequence[str]) -> int:
    """Imports a checkpoint and says what was left out of it, and why."""
    if answers_itself("import", words):
        return 0
    config = compose("import", words)
    if config.task is not None:
        simulators().spec(config.task)
    from mfpolicy.deployment.importing import check_free, import_checkpoint, write_run
    from mfpolicy.evaluation.model_card import write_model_card

    checkpoint, out = Path(config.checkpoint), Path(config.out)
    check_free(out)
    imported = import_checkpoint(
        checkpoint,
        kind=config.kind,
        weights=config.weights,
        task=config.task,
        sampler=config.sampler,
    )
    write_run(imported, out, checkpoint=checkpoint, weights=config.weights)
    write_model_card(out)
    print_rows(output(), _rows(imported, config.out))
    return 0


def _rows(imported: Imported, out: str) -> list[tuple[str, str]]:
    spec = imported.policy.spec
    rows = [
        ("run", out),
        ("kind", imported.kind),
        (
            "chunk",
            f"{spec.n_obs_steps} observed, {spec.horizon} predicted, "
            f"{spec.n_action_steps} executed steps",
        ),
        ("kept", f"{imported.kept:,} numbers"),
    ]
    counts: Counter[str] = Counter()
    places: Counter[str] = Counter()
    for each in imported.dropped:
        counts[each.reason] += each.weights
        places[each.reason] += 1
    for reason, count in counts.most_common(SHOWN):
        rows.append(("dropped", f"{count:,} in {places[reason]} weights: {reason}"))
    if not counts:
        rows.append(("dropped", "nothing"))
    where = "" if spec.task else " task=suite/name"
    if spec.task:
        note = "not on record; eval makes them by the suite's recipe, the released codes by others"
        rows.append(("clouds", note))
    rows.append(("next", f"mfpolicy eval {out}{where}"))
    return rows

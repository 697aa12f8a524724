"""``mfpolicy export``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mfpolicy.cli.console import output, print_rows
from mfpolicy.cli.help import answers_itself
from mfpolicy.config import compose


def run(words: Sequence[str]) -> int:
    """Exports a policy and says where it lies and how near it is to the policy."""
    if answers_itself("export", words):
        return 0
    config = compose("export", words)
    from mfpolicy.deployment.export import export_policy

    report = export_policy(
        config.run,
        config.out,
        format=config.format,
        precision=config.precision,
        steps=config.steps,
        noise_scale=config.noise_scale,
        guidance_scale=config.guidance_scale,
        n_action_steps=config.n_action_steps,
        task=config.task,
    )
    parity = report.parity
    batches = " and ".join(map(str, parity.batches))
    rows = [
        ("export", shlex.quote(str(report.path)) + (" (was there)" if report.existed else "")),
        ("size", f"{report.size_bytes / 1e6:.1f} MB"),
        (
            "parity",
            f"actions within {parity.error:.1e} of their range of the policy's, "
            f"on random inputs in batches of {batches}; the bound is {parity.bound:g}",
        ),
    ]
    print_rows(output(), rows)
    return 0

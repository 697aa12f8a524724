"""Success on Meta-World with each loss on the encoder beside the objective's, on and off.

Same data, seeds and number of steps; each loss at its default weight. It goes on where it stopped,
and writes the result after every cell:

    python -m benchmarks.encoders.auxiliary --out benchmarks/results/2026-11-28-auxiliary

The tasks are those of six on which the preset has most to gain.
"""

from __future__ import annotations

from benchmarks.variants import Variants
from mfpolicy.encoders import auxiliary

NONE = "none"
DISPERSIVE = ("objective.dispersive.kind=info_nce_l2", "objective.dispersive.source=encoder")

STUDY = Variants(
    name="auxiliary",
    what="auxiliary loss",
    preset="mp1_mixer",
    tasks=("peg-insert-side", "shelf-place"),
    steps=1000,
    overrides={
        NONE: (),
        **{name: (f"auxiliary.{name}.enabled=true",) for name in auxiliary.names()},
        "dispersive": DISPERSIVE,
    },
    baseline=lambda variant: NONE,
)

if __name__ == "__main__":
    STUDY.run(__doc__ or "")

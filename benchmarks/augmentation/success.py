"""Success on Meta-World with each augmentation on and off: same data, seeds and number of steps.

Trains ``mp1_mixer`` on ten demonstrations without augmentation, with each one at its default
strength, and with all of them; with colors and without. Each cell is evaluated on the same unseen
seeds and compared with its own baseline seed by seed. It goes on where it stopped, and writes the
result after every cell:

    python -m benchmarks.augmentation.success --out benchmarks/results/2026-11-27-augmentation

The evaluation shows clouds as training saw them before augmentation: what is measured is the effect
where nothing has changed, not how a policy bears another camera, light or box.
"""

from __future__ import annotations

from benchmarks.variants import Variants
from mfpolicy.config import compose
from mfpolicy.data import augment

PRESET = "mp1_mixer"
NONE, COLOR, ALL = "none", "color", "all"
ON_COLORS = ("color_jitter",)
"""Augmentations that need a policy that sees colors; their baseline is ``color``."""
PLAIN = tuple(name for name in augment.names() if name not in ON_COLORS)


def overrides_of(variant: str) -> list[str]:
    """What the variant changes of the preset.

    Example:
        >>> overrides_of("color_jitter")
        ['policy.color=true', 'augment.color_jitter.enabled=true']
    """
    names = PLAIN if variant == ALL else [variant] if variant in augment.names() else []
    colored = ["policy.color=true"] if variant in (COLOR, *ON_COLORS) else []
    return colored + [f"augment.{name}.enabled=true" for name in names]


def _strengths() -> str:
    """The options of each augmentation as the study has them."""
    config = compose("train", ["task=a/b", "data=d", "out=o", f"policy={PRESET}"])
    lines = [
        f"- {name}: "
        + ", ".join(f"{key} {value}" for key, value in options.items() if key != "enabled")
        for name, options in config.augment.items()
    ]
    return "Strengths:\n\n" + "\n".join(lines)


STUDY = Variants(
    name="augmentation",
    what="augmentation",
    preset=PRESET,
    tasks=("lever-pull",),
    steps=500,
    overrides={name: overrides_of(name) for name in (NONE, *PLAIN, ALL, COLOR, *ON_COLORS)},
    baseline=lambda variant: COLOR if variant in ON_COLORS else NONE,
    more=_strengths(),
)

if __name__ == "__main__":
    STUDY.run(__doc__ or "")

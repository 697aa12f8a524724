"""Where in 0 ≤ r ≤ t ≤ 1 an objective trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.options import check_choice, check_range, parse_options

ENDS = {"p_end": 0.1}
"""Default of objectives that learn intervals: some rows at the only one that is deployed."""


@dataclass(frozen=True)
class TimeSampling:
    """Distribution of the interval (r, t).

    Two independent draws, sorted; then a share of rows becomes r = t (plain flow matching), and a
    share of the others the interval (0, 1), the only one that a 1-NFE policy is deployed with.
    Without the latter, logit-normal times (−0.4, 1) put a row near (0, 1) about once in 3,500
    steps at batch 128: deployment then rests on extrapolation.

    Attributes:
        distribution: ``logit_normal`` (sigmoid of a normal) or ``uniform``.
        mean, std: of the normal.
        p_equal: share of rows with r = t.
        p_end: share of the r < t rows with (r, t) = (0, 1).
    """

    distribution: str = "logit_normal"
    mean: float = -0.4
    std: float = 1.0
    p_equal: float = 0.5
    p_end: float = 0.0

    def __post_init__(self) -> None:
        check_choice("time.distribution", self.distribution, ("logit_normal", "uniform"))
        check_range("time.p_equal", self.p_equal, 0, 1)
        check_range("time.p_end", self.p_end, 0, 1)

    def sample(
        self, batch: int, like: torch.Tensor, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draws (r, t), each (B,), on the device and in the dtype of ``like``.

        Exactly ⌊p_equal B⌋ rows have r = t, and they come last: rows of a batch are exchangeable,
        and a known place lets the derivative pass take the others as one slice. With p_equal = 1
        there are no intervals, and t is one draw instead of the later of two.
        """
        options = {"device": like.device, "dtype": like.dtype, "generator": generator}
        count = 1 if self.p_equal == 1 else 2
        if self.distribution == "uniform":
            draws = torch.rand(count, batch, **options)
        else:
            draws = torch.sigmoid(self.mean + self.std * torch.randn(count, batch, **options))
        r, t = draws.amin(dim=0), draws.amax(dim=0)
        apart = batch - int(self.p_equal * batch)
        ends = round(self.p_end * apart)
        r[:ends], t[:ends] = 0, 1
        r[apart:] = t[apart:]
        return r, t


def single_times(options: Mapping[str, Any] | TimeSampling | None) -> TimeSampling:
    """Returns the sampling of an objective that draws one t a row, uniform by default.

    Raises:
        ConfigError: the options ask for intervals.
    """
    defaults = {"distribution": "uniform", "mean": 0.0, "p_equal": 1.0}
    time = parse_options(TimeSampling, options, defaults)
    if time.p_equal != 1 or time.p_end:
        raise ConfigError(
            "time.p_equal must be 1 and time.p_end 0: this objective draws no intervals",
            received={"p_equal": time.p_equal, "p_end": time.p_end},
        )
    return time

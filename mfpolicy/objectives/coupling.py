"""Which noise goes with which action chunk of a batch.

Any pairing of noise e and data x is one that flow matching and its relatives learn from, as long as
the noise is still distributed as it is drawn, *given the condition*. Optimal transport within the
batch makes lines short and hardly crossing, but of clusters with conditions of their own each then
takes its own part of the noise, and deployment draws from all of it. Conditional optimal transport
puts the conditions into the cost: noise i brings the condition of row i along,

    cost_ij = ‖e_i − x_j‖² + w C(c_i, c_j),                                                     (1)

and the assignment of least total cost exchanges noise among like conditions alone. w = 0 is plain
optimal transport; w → ∞ leaves distinct conditions with the noise they have, the independent
coupling.

The scale of C differs from encoder to encoder. So w is found anew in every batch, from the batch
alone: the largest share of exchanges that (1) makes cheaper than a row's own noise,

    mean_ij 1[cost_ij ≤ cost_jj],                                                               (2)

which falls with w and counts each row's own noise, is brought to ``ratio``.

Source: Cheng & Schwing 2025, "The Curse of Conditions: Analyzing and Improving Optimal Transport
for Conditional Flow-Based Generation", and its released code. There the condition is fixed, a label
or a frozen encoder's; here it is the output of an encoder that learns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from mfpolicy.errors import ConfigError
from mfpolicy.objectives.velocity import ConditionalVelocity, Velocity
from mfpolicy.options import check_choice, check_range

FIRST_WEIGHT, LARGEST_WEIGHT = 100.0, 1e8
SEARCH_STEPS, TOLERANCE = 20, 1e-3


@dataclass(frozen=True)
class Coupling:
    """How noise is paired with chunks.

    ``independent``: as drawn. ``c2ot``: the exact assignment of least cost (1) within the batch,
    of O(B³) work: for batches of up to about a thousand. Without a condition it is plain optimal
    transport. A batch that is gone through in pieces is assigned piece by piece.

    Attributes:
        kind: independent or c2ot.
        weight: w; None finds the one that gives ``ratio``.
        ratio: the share (2) of a batch's pairs that w leaves open to exchange, where w is found.
        distance: C, ``cosine`` (1 − cos) or ``squared`` (squared Euclidean).
    """

    kind: str = "independent"
    weight: float | None = None
    ratio: float = 0.2
    distance: str = "cosine"

    def __post_init__(self) -> None:
        check_choice("coupling.kind", self.kind, ("independent", "c2ot"))
        check_choice("coupling.distance", self.distance, ("cosine", "squared"))
        check_range("coupling.ratio", self.ratio, 1e-3, 1)
        if self.weight is not None:
            check_range("coupling.weight", self.weight, 0, LARGEST_WEIGHT)

    def pair(self, velocity: Velocity, x: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
        """Returns the rows of ``e`` (B, Th, A) in the order in which they go with those of ``x``.

        Args:
            velocity: what is trained; a network's conditions enter the cost.
            x: (B, Th, A), the chunks.
            e: (B, Th, A), the noise as drawn.

        Raises:
            ConfigError: the batch is too small for anything to be exchanged, or for ``ratio``.
        """
        if self.kind == "independent":
            return e
        condition = _condition(velocity)
        self._check_batch(len(x), conditional=condition is not None)
        cost = _squared(x, e)  # (B, B): row j is data, column i noise
        if condition is not None:
            if not bool(condition.isfinite().all()):
                return e  # an encoder that diverged: the loss is not finite either, and says so
            apart = self._apart(condition)
            weight = self.weight if self.weight is not None else self._search(cost, apart)
            cost = cost + weight * apart
        from scipy.optimize import linear_sum_assignment

        _, noise = linear_sum_assignment(cost.numpy())
        return e[torch.as_tensor(noise, device=e.device)]

    def _check_batch(self, rows: int, *, conditional: bool) -> None:
        if rows < 2:
            raise ConfigError(
                "coupling.kind=c2ot needs a batch of at least 2 rows",
                received=rows,
                remedy="use a larger batch, or coupling.kind=independent",
            )
        if conditional and self.weight is None and rows * self.ratio < 1:
            least = math.ceil(1 / self.ratio)
            raise ConfigError(
                f"coupling.ratio={self.ratio} needs a batch of at least {least} rows,"
                " because a row's own noise is already one of its pairs",
                received=rows,
                remedy="use a larger batch, a larger ratio, or a fixed coupling.weight",
            )

    def _apart(self, condition: torch.Tensor) -> torch.Tensor:
        """Returns C of every two rows, (B, B), 0 for a row and itself."""
        if self.distance == "squared":
            return _squared(condition, condition)
        direction = torch.nn.functional.normalize(condition, dim=1)
        return (1 - direction @ direction.T).clamp(min=0).fill_diagonal_(0)

    def _search(self, squares: torch.Tensor, apart: torch.Tensor) -> float:
        """Returns the w of which the share (2) is ``ratio``, by doubling and halving."""
        own = squares.diagonal()[:, None]

        def share(weight: float) -> float:
            return float((squares + weight * apart <= own).double().mean())

        if share(0.0) <= self.ratio:
            return 0.0
        low, high = 0.0, FIRST_WEIGHT
        while share(high) > self.ratio:
            low, high = high, 2 * high
            if high > LARGEST_WEIGHT:
                return LARGEST_WEIGHT
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            open_now = share(middle)
            if abs(open_now - self.ratio) < TOLERANCE:
                return middle
            low, high = (middle, high) if open_now > self.ratio else (low, middle)
        return high


def _condition(velocity: Velocity) -> torch.Tensor | None:
    """The conditions (B, C) of a network on the processor, in float64; None of a closed form."""
    if not isinstance(velocity, ConditionalVelocity):
        return None
    known = velocity.condition if velocity.condition is not None else velocity.prepared
    return known.detach().flatten(1).double().cpu()


def _squared(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared distances of the rows of ``a`` and ``b``, (B, B) float64 on the processor."""
    a, b = (value.detach().flatten(1).double().cpu() for value in (a, b))
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()

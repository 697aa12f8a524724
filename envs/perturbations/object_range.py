"""Objects and goals farther out than any demonstration had them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envs.perturbations.base import PERTURBATIONS, Perturbation
from envs.simulation import Widenable
from mfpolicy.errors import ConfigError
from mfpolicy.options import check_range

if TYPE_CHECKING:
    from envs.simulation import Simulation

MAX_FACTOR = 2.0


@PERTURBATIONS.register("object_range")
class ObjectRange(Perturbation):
    """Widens the ranges that objects and goals are placed in, about the middle of each.

    The suite's simulation says which ranges those are (`Widenable`). What stands on a table keeps
    its height. The same seed gives the same place within the wider range: a placement moves away
    from the middle by the factor. Whether the task can still be done there is not known: an expert
    may fail as well, and the arm may not reach.

    Args:
        factor: of every range, 1 to 2. Narrower ones are not offered: some tasks draw again until
            object and goal are far enough apart, and would draw for ever.

    Raises:
        ConfigError: the factor is out of range.

    Example:
        >>> ObjectRange(factor=1.5).to_dict()
        {'name': 'object_range', 'factor': 1.5}
    """

    name = "object_range"
    number = "factor"

    def __init__(self, *, factor: float = 1.5) -> None:
        check_range("perturbation.factor", factor, 1, MAX_FACTOR)
        self.factor = float(factor)

    def prepare(self, simulation: Simulation) -> None:
        """Widens the ranges of the task.

        Raises:
            ConfigError: the suite does not offer it, or the task has no range to widen.
        """
        if not isinstance(simulation, Widenable):
            raise ConfigError(
                "perturbation=object_range needs a suite whose ranges can be widened",
                received=type(simulation).__name__,
                remedy="choose a task of a suite that has them, for example metaworld/push, or "
                "give the suite's simulation `widen`",
            )
        simulation.widen(self.factor)

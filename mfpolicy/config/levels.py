"""Lists of perturbations that a benchmark evaluates finished cells under."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from mfpolicy.config.benchmarking import file_names, read_file
from mfpolicy.config.composition import compose
from mfpolicy.config.convert import from_mapping
from mfpolicy.errors import ConfigError, UserError

ROBUSTNESS = "robustness"
"""The folder of configs/ with a file for each list, and the option that names one."""

GROUP = "perturbation"


@dataclass(frozen=True)
class Robustness:
    """A list of perturbations as its file in ``configs/robustness`` tells it.

    Attributes:
        what: it is, in a line.
        levels: name of an evaluation → words of ``mfpolicy eval`` that choose a perturbation.
    """

    what: str
    levels: dict[str, Any]


def robustness_names() -> list[str]:
    """Every list, sorted."""
    return file_names(ROBUSTNESS)


def read_robustness(name: str) -> Robustness:
    """Reads a list.

    Raises:
        ConfigError: there is none of this name, or its file lacks something.
    """
    return from_mapping(Robustness, read_file(ROBUSTNESS, name))


def compose_levels(name: str) -> dict[str, dict[str, Any]]:
    """The perturbations of a list, each with all of its options.

    Raises:
        ConfigError: there is none of this name, or an entry of its file does not fit.

    Example:
        >>> compose_levels("standard")["camera_shift_3cm"]
        {'name': 'camera_shift', 'distance_cm': 3}
    """
    levels = {level: _composed(level, said) for level, said in read_robustness(name).levels.items()}
    for level, changed in levels.items():
        same = [other for other in levels if levels[other] == changed]
        if len(same) > 1:
            raise ConfigError(
                f"every level of configs/{ROBUSTNESS}/{name}.yaml must be another",
                received=f"{' and '.join(same)} are the same",
                remedy=f"leave {level} out",
            )
    if not levels:
        raise ConfigError(f"configs/{ROBUSTNESS}/{name}.yaml must have levels", received=levels)
    return levels


def _composed(level: str, said: object) -> dict[str, Any]:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.]*", level) or level == "last":
        raise ConfigError(
            "a level's name must be of lower-case letters, digits, _ and ., and not be last",
            received=level,
        )
    if not isinstance(said, list) or not all(isinstance(word, str) for word in said):
        raise ConfigError(f"level {level} must be a list of words", received=said)
    for word in said:
        if word.partition("=")[0].partition(".")[0] != GROUP:
            raise ConfigError(
                f"level {level} may choose a perturbation and its options alone", received=word
            )
    try:
        return compose("eval", ["any", *said]).perturbation
    except UserError as error:
        raise ConfigError(f"level {level} must fit mfpolicy eval: {error}") from error

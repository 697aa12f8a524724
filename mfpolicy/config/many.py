"""The words of a command that runs many trainings: options of its own, and those of training."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from mfpolicy.config.overrides import Override
from mfpolicy.config.schema import TrainConfig
from mfpolicy.errors import ConfigError, did_you_mean


def split(
    overrides: Sequence[Override], own: Collection[str]
) -> tuple[list[Override], list[Override]]:
    """The overrides of the command itself, whose first names are ``own``, and the others.

    Example:
        >>> split([Override("out", "o"), Override("training.steps", "3")], ["out"])[1]
        [Override(key='training.steps', value='3')]
    """
    parts: tuple[list[Override], list[Override]] = ([], [])
    for override in overrides:
        parts[_first(override) not in own].append(override)
    return parts


def check_names(
    verb: str, overrides: Sequence[Override], own: Collection[str], *, without: Collection[str] = ()
) -> None:
    """Refuses names that neither the command nor ``mfpolicy train`` has.

    Args:
        verb: the command.
        overrides: as typed.
        own: names of its own options.
        without: options of training that it does not take.

    Raises:
        ConfigError: a name is none of them.
    """
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    known = sorted({*own, *fields} - {*without})
    for override in overrides:
        if _first(override) not in known:
            raise ConfigError(
                f"neither {verb} nor train has an option of this name for all of its cells",
                received=override.key,
                remedy=did_you_mean(_first(override), known),
            )


def _first(override: Override) -> str:
    return override.key.partition(".")[0]

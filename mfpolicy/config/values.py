"""What a key is given on the command line, one value or several, read by Hydra's grammar."""

from __future__ import annotations

import re
from typing import Any

from mfpolicy.config.overrides import Override
from mfpolicy.errors import ConfigError

_LIST_OF_TEXT = re.compile(r",|^\s*(choice|range|sort|shuffle|glob|tag|interval)\(")


def listed(override: Override, *, text: bool) -> list[str] | None:
    """The values of a key, each as it would be typed; None where the key has a single one.

    Args:
        override: the key and what was typed.
        text: whether the key takes text, which may hold signs of the grammar.

    Raises:
        ConfigError: the values cannot be read, or are an interval, which has no end of them.

    Example:
        >>> listed(Override("seed", "range(3)"), text=False)
        ['0', '1', '2']
    """
    value = override.value
    if text:
        if not _LIST_OF_TEXT.search(value):
            return None
        if not re.search(r"['\"]", value):
            value = re.sub(r"([{}])", r"\\\1", value)
    sweep = parsed(override.key, value)
    if not sweep.is_sweep_override():
        return None
    if not sweep.is_discrete_sweep():
        raise ConfigError(
            f"{override.key} must have values that can be counted",
            received=override.value,
            remedy=f"write them out, or as {override.key}=range(start,stop,step)",
        )
    values = [re.sub(r"\\([{}])", r"\1", item) for item in sweep.sweep_string_iterator()]
    if not values:
        raise ConfigError(f"{override.key} must have a value", received=override.value)
    if not text:
        return values
    return [v if v == "null" else str(parsed(override.key, v).value()) for v in values]


def element(key: str, typed: str, *, text: bool) -> Any:
    """The value that ``typed`` stands for: text, number, list, true, false or null.

    Example:
        >>> element("training.betas", "[0.8,0.9]", text=False)
        [0.8, 0.9]
    """
    return typed if text and typed != "null" else parsed(key, typed).value()


def parsed(key: str, value: str) -> Any:
    """Returns Hydra's own view of ``key=value``.

    Raises:
        ConfigError: Hydra's grammar has no such value.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    hydra = GlobalHydra.instance().hydra
    parser = OverridesParser.create(hydra.config_loader if hydra else None)
    try:
        return parser.parse_overrides([f"{key}={value}"])[0]
    except HydraException as error:
        raise ConfigError(
            f"{key} must have a value that can be read",
            received=value,
            remedy="close brackets and quotes; write a list as [1,2] and nothing as null",
        ) from error

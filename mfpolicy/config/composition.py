"""``configs/*.yaml`` and the command line's overrides → one checked configuration, by Hydra."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, overload

from mfpolicy.config.bench import BenchConfig
from mfpolicy.config.convert import from_mapping, leaves
from mfpolicy.config.converting import DataConvertConfig
from mfpolicy.config.exporting import ExportConfig
from mfpolicy.config.importing import ImportConfig
from mfpolicy.config.inspecting import DataCheckConfig, DataInfoConfig
from mfpolicy.config.overrides import Override, parse
from mfpolicy.config.robot import RobotConfig
from mfpolicy.config.schema import (
    CollectConfig,
    EvalConfig,
    PresetConfig,
    SweepConfig,
    TrainConfig,
)
from mfpolicy.config.serving import ServeConfig
from mfpolicy.config.tasks import OneOrSeveral
from mfpolicy.config.values import parsed
from mfpolicy.config.verbs import EXAMPLES, POSITIONAL, SCHEMAS, config_name
from mfpolicy.errors import ConfigError, did_you_mean
from mfpolicy.paths import config_dir

LISTED = ("task", "data")
"""Keys of ``train`` that take one name or a list of them."""


@overload
def compose(verb: Literal["train"], words: Sequence[str]) -> TrainConfig: ...
@overload
def compose(verb: Literal["eval"], words: Sequence[str]) -> EvalConfig: ...
@overload
def compose(verb: Literal["collect"], words: Sequence[str]) -> CollectConfig: ...
@overload
def compose(verb: Literal["import"], words: Sequence[str]) -> ImportConfig: ...
@overload
def compose(verb: Literal["sweep"], words: Sequence[str]) -> SweepConfig: ...
@overload
def compose(verb: Literal["serve"], words: Sequence[str]) -> ServeConfig: ...
@overload
def compose(verb: Literal["robot"], words: Sequence[str]) -> RobotConfig: ...
@overload
def compose(verb: Literal["export"], words: Sequence[str]) -> ExportConfig: ...
@overload
def compose(verb: Literal["bench"], words: Sequence[str]) -> BenchConfig: ...
@overload
def compose(verb: Literal["data convert"], words: Sequence[str]) -> DataConvertConfig: ...
@overload
def compose(verb: Literal["data info"], words: Sequence[str]) -> DataInfoConfig: ...
@overload
def compose(verb: Literal["data check"], words: Sequence[str]) -> DataCheckConfig: ...
@overload
def compose(verb: str, words: Sequence[str]) -> Any: ...
def compose(verb: str, words: Sequence[str]) -> Any:
    """Composes the configuration of ``verb`` and checks it against its schema.

    Args:
        verb: as on the command line.
        words: overrides ``key=value``; the value of the positional key may stand bare.

    Raises:
        ConfigError: a word is no override, a key, group choice or value does not exist or does not
            fit, or a mandatory key is missing.

    Example:
        >>> compose("eval", ["runs/drawer-open", "episodes=50"]).episodes
        50
    """
    overrides = parse(words, positional=POSITIONAL.get(verb))
    tree = compose_tree(verb, overrides)
    missing = [key for key in tree if tree[key] == "???"]
    if missing:
        raise ConfigError(
            f"{verb} needs " + " and ".join(f"{key}=…" for key in missing),
            remedy=f"for example: {EXAMPLES[verb]}",
        )
    if verb == "collect":
        tree["suite"] = _changed(tree["suite"], overrides)
    return from_mapping(SCHEMAS[verb], tree)


def compose_preset(name: str, overrides: Sequence[str] = ()) -> PresetConfig:
    """Composes the parts of the policy preset ``name`` without a task, dataset or run.

    Raises:
        ConfigError: no preset has this name, or an override does not fit.

    Example:
        >>> compose_preset("mp1_small").policy.n_obs_steps
        2
    """
    tree = compose_tree("train", parse([f"policy={name}", *overrides]))
    parts = [field.name for field in dataclasses.fields(PresetConfig)]
    return from_mapping(PresetConfig, {part: tree[part] for part in parts})


def resolved_yaml(verb: str, words: Sequence[str]) -> str:
    """Returns the composed configuration as YAML; mandatory keys not given show as ``???``."""
    import yaml

    tree = compose_tree(verb, parse(words, positional=POSITIONAL.get(verb)))
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def compose_tree(verb: str, overrides: Sequence[Override]) -> dict[str, Any]:
    """Composes ``verb`` to plain mappings with every key and group choice checked by name."""
    groups = group_choices(verb)
    selections = _selections(verb, overrides)
    known = _known_keys(verb, tuple(selections), str(config_dir()))
    texts = text_keys(SCHEMAS[verb])
    values: list[str] = []
    plain: dict[str, str] = {}
    for override in overrides:
        if override.key not in groups:
            _check_key(override.key, verb, known, groups)
            if (config_dir() / override.key).is_dir():  # Hydra would take it for a group
                plain[override.key] = override.value
            else:
                values.append(_readable(override, text=is_text(override, texts)))
    return {**_hydra(verb, [*selections, *values]), **plain}


@functools.lru_cache
def _known_keys(verb: str, selections: tuple[str, ...], folder: str) -> tuple[str, ...]:
    """The dotted keys of ``verb`` under these choices of its groups, from the files in ``folder``.

    Kept, as a sweep composes each of its cells and their keys are the same.
    """
    return tuple(key for key, _ in leaves(_hydra(verb, list(selections))))


def selected(verb: str, overrides: Sequence[Override]) -> dict[str, str]:
    """The name that each group ends up with, after the preset and the command line."""
    tree = _hydra(verb, _selections(verb, overrides), with_hydra=True)
    choices = tree["hydra"]["runtime"]["choices"]
    return {group: name for group, name in choices.items() if not group.startswith("hydra/")}


def _selections(verb: str, overrides: Sequence[Override]) -> list[str]:
    groups = group_choices(verb)
    chosen = [override for override in overrides if override.key in groups]
    for override in chosen:
        _check_choice(override, groups[override.key])
    return [f"{o.key}={o.value}" for o in chosen] + _suite_selection(verb, overrides)


def group_choices(verb: str) -> dict[str, list[str]]:
    """The groups that a user of ``verb`` can choose from, and the names in each."""
    import yaml

    primary = yaml.safe_load(
        (config_dir() / f"{config_name(verb)}.yaml").read_text(encoding="utf-8")
    )
    entries = [entry for entry in primary.get("defaults", []) if isinstance(entry, dict)]
    groups = sorted(group for entry in entries for group in entry if group != "suite")
    return {
        group: sorted(p.stem for p in (config_dir() / group).glob("*.yaml")) for group in groups
    }


def text_keys(schema: type, prefix: str = "") -> set[str]:
    """The dotted keys of ``schema`` whose values are text, whatever characters they hold."""
    keys: set[str] = set()
    for name, hint in typing.get_type_hints(schema).items():
        if dataclasses.is_dataclass(hint):
            keys |= text_keys(typing.cast(type, hint), f"{prefix}{name}.")
        elif hint in (str, str | None, OneOrSeveral):
            keys.add(prefix + name)
    return keys


def is_text(override: Override, texts: Container[str]) -> bool:
    """Whether a value is text as it stands; tasks and datasets may also be a list of them."""
    listed = override.key in LISTED and re.fullmatch(r"\s*\[.*\]\s*", override.value, re.DOTALL)
    return override.key in texts and not listed


def _hydra(verb: str, overrides: list[str], *, with_hydra: bool = False) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with own_hydra():
            config = hydra_compose(config_name(verb), overrides, return_hydra_config=with_hydra)
        resolved = OmegaConf.to_container(config, resolve=not with_hydra)
        return typing.cast(dict[str, Any], resolved)
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"the configuration cannot be composed: {reason}", received=" ".join(overrides)
        ) from error


@contextmanager
def own_hydra() -> Iterator[None]:
    """Hydra's state is global; an application that uses Hydra itself finds its own again."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            yield
    finally:
        GlobalHydra.instance().hydra = outer


def _readable(override: Override, *, text: bool) -> str:
    written = override.quoted() if text else f"{override.key}={override.value}"
    if parsed(override.key, written.partition("=")[2]).is_sweep_override():
        raise ConfigError(
            f"{override.key} must have one value: a command runs one configuration",
            received=override.value,
            remedy="`mfpolicy sweep` trains one after another; write a list as [1,2]",
        )
    return written


def _check_choice(override: Override, choices: Sequence[str]) -> None:
    if override.value not in choices:
        raise ConfigError(
            f"{override.key} must be the name of a file in configs/{override.key}",
            received=override.value,
            remedy=did_you_mean(override.value, choices),
        )


def _check_key(
    key: str, verb: str, known: Collection[str], groups: Mapping[str, Sequence[str]]
) -> None:
    if key in known:
        return
    inside = [name for name in known if name.startswith(f"{key}.")]
    if inside:
        raise ConfigError(
            f"{key} is a group of options, not one option",
            received=key,
            remedy=f"set one of them, for example {inside[0]}=…",
        )
    names = sorted({*known, *groups})
    same_ending = [name for name in names if name.rpartition(".")[2] == key.rpartition(".")[2]]
    raise ConfigError(
        f"{verb} has no option of this name",
        received=key,
        remedy=did_you_mean(key, same_ending or names),
    )


def _suite_selection(verb: str, overrides: Sequence[Override]) -> list[str]:
    if verb != "collect":
        return []
    task = next((o.value for o in overrides if o.key == "task"), "")
    suite = task.strip("'\"").partition("/")[0]
    return [f"suite={suite}"] if (config_dir() / "suite" / f"{suite}.yaml").is_file() else []


def _changed(suite: Mapping[str, Any], overrides: Sequence[Override]) -> dict[str, Any]:
    names = [o.key.split(".")[1] for o in overrides if o.key.startswith("suite.")]
    return {name: suite[name] for name in names}

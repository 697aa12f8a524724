"""What ``configs/suite`` says of the values that a task's policy sees and does."""

from __future__ import annotations

from collections.abc import Sequence

from mfpolicy.errors import ConfigError
from mfpolicy.paths import config_dir
from mfpolicy.types import WorldVectors


def world_vectors(task: str) -> WorldVectors | None:
    """Returns which of state and action are vectors in the world frame; None where unknown.

    Args:
        task: ``suite/task``; a task of no suite here, a real robot's, says nothing.

    Raises:
        ConfigError: the suite's file says it in another form.

    Example:
        >>> world_vectors("metaworld/drawer-open").action_displacements
        ((0, 1, 2),)
        >>> world_vectors("adroit/door") is None
        True
    """
    import yaml

    name = task.partition("/")[0]
    files = {path.stem: path for path in (config_dir() / "suite").glob("*.yaml")}
    if name not in files:
        return None
    said = yaml.safe_load(files[name].read_text(encoding="utf-8")).get("world_vectors")
    if said is None:
        return None
    try:
        return WorldVectors(
            **{part: tuple((x, y, z) for x, y, z in triples) for part, triples in said.items()}
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"world_vectors in {files[name]} must be lists of [x, y, z]", received=said
        ) from error


def common_vectors(tasks: Sequence[str]) -> WorldVectors | None:
    """Returns what all tasks have at the same places; None where one does not say, or differs.

    Example:
        >>> common_vectors(["metaworld/push", "adroit/door"]) is None
        True
    """
    if not tasks:
        return None
    first, *others = [world_vectors(task) for task in tasks]
    return first if all(other == first for other in others) else None

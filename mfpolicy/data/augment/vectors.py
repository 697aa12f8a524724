"""Which of state and action move with a scene that is turned or shifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mfpolicy.data.augment.base import Scene
from mfpolicy.errors import ConfigError
from mfpolicy.types import WorldVectors

Lists = Mapping[str, Sequence[Sequence[int]] | None]


def given_vectors(owner: str, lists: Lists) -> WorldVectors | None:
    """Returns what an augmentation's options name; None where all of them are null.

    Args:
        owner: the augmentation's registered name, for messages.
        lists: by name of a part of :class:`WorldVectors`.

    Raises:
        ConfigError: a list is no list of triples of places, each named once.
    """
    if all(value is None for value in lists.values()):
        return None
    return WorldVectors(
        **{name: _triples(f"augment.{owner}.{name}", value) for name, value in lists.items()}
    )


def known_vectors(
    owner: str, given: WorldVectors | None, scene: Scene, *, remedy: str
) -> WorldVectors:
    """Returns what the options name, or else what the task's suite says.

    Args:
        owner: as above.
        given: what the options name.
        scene: the data.
        remedy: where neither says anything.

    Raises:
        ConfigError: nothing is known, or a place is beyond state or action.
    """
    vectors = given or scene.vectors
    if vectors is None:
        raise ConfigError(
            f"augment.{owner} must know which of state and action are vectors in the world "
            "frame, and the task's suite names none",
            received=scene.task,
            remedy=remedy,
        )
    sizes = {
        "state_positions": scene.state_dim,
        "action_positions": scene.action_dim,
        "action_displacements": scene.action_dim,
    }
    for name, size in sizes.items():
        beyond = [triple for triple in getattr(vectors, name) if max(triple) >= size]
        if beyond:
            raise ConfigError(
                f"augment.{owner}.{name} must name places from 0 to {size - 1}", received=beyond
            )
    return vectors


def _triples(name: str, value: Any) -> tuple[tuple[int, int, int], ...]:
    given: Any = [] if value is None else value
    if not isinstance(given, Sequence) or not all(isinstance(one, Sequence) for one in given):
        given = [()]
    flat = [place for triple in given for place in triple]
    whole = all(isinstance(p, int) and not isinstance(p, bool) and p >= 0 for p in flat)
    if not whole or any(len(triple) != 3 for triple in given) or len(set(flat)) != len(flat):
        raise ConfigError(
            f"{name} must be a list of [x, y, z], places that are named once",
            received=value,
            remedy=f"write {name}=[[0,1,2]]",
        )
    return tuple((int(x), int(y), int(z)) for x, y, z in given)

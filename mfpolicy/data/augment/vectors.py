"""Augmentations that move a scene, and which of state and action move with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mfpolicy.data.augment.base import Augmentation, Scene
from mfpolicy.errors import ConfigError
from mfpolicy.types import WorldVectors

Lists = Mapping[str, Sequence[Sequence[int]] | None]


class MovedScene(Augmentation):
    """Moves clouds, and what of state and action are vectors in the world frame.

    Args:
        cloud_only: move the clouds and nothing else.
        lists: the option of each part of :class:`~mfpolicy.types.WorldVectors` that moves.

    Attributes:
        name: that it is registered under. error: what ``cloud_only`` then is, for messages.
        given: the vectors that the options name; None where they name none.

    Raises:
        ConfigError: a list is no list of triples of places, each named once, or there is one beside
            ``cloud_only``.
    """

    name: str
    error: str

    def __init__(self, *, cloud_only: bool, lists: Lists) -> None:
        named = {key: value for key, value in lists.items() if value is not None}
        if cloud_only and named:
            raise ConfigError(
                f"augment.{self.name}.cloud_only moves nothing of state and action",
                received=named,
                remedy="leave out one of both",
            )
        self.cloud_only, self._options = cloud_only, tuple(lists)
        self.given = (
            WorldVectors(
                **{key: _triples(f"augment.{self.name}.{key}", named[key]) for key in named}
            )
            if named
            else None
        )

    def moving(self, scene: Scene) -> WorldVectors:
        """What moves beside the clouds: what the options name, else what the suite says."""
        return WorldVectors() if self.cloud_only else self.given or scene.vectors or WorldVectors()

    def check(self, scene: Scene) -> None:
        """Refuses data of which it is not known what moves.

        Raises:
            ConfigError: no vectors are known, or a place is beyond state or action.
        """
        if not self.cloud_only and self.given is None and scene.vectors is None:
            options = ", ".join(f"augment.{self.name}.{key}" for key in self._options)
            raise ConfigError(
                f"augment.{self.name} must know which of state and action are vectors in the world "
                "frame, and the task's suite names none",
                received=scene.task,
                remedy=f"name them with {options}; where they are joint angles there are none, and "
                f"augment.{self.name}.cloud_only=true moves the clouds alone, as an error of "
                f"{self.error}",
            )
        vectors = self.moving(scene)
        for key in self._options:
            size = scene.state_dim if key.startswith("state") else scene.action_dim
            beyond = [triple for triple in getattr(vectors, key) if max(triple) >= size]
            if beyond:
                raise ConfigError(
                    f"augment.{self.name}.{key} must name places from 0 to {size - 1}",
                    received=beyond,
                )


def _triples(name: str, value: Any) -> tuple[tuple[int, int, int], ...]:
    given: Any = value
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

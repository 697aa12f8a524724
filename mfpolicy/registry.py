"""Names to classes: how encoders, networks and objectives are found by configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Generic, TypeVar, cast, get_type_hints

from mfpolicy.errors import ConfigError, did_you_mean
from mfpolicy.options import check_type

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """Components of one kind by name; building refuses unknown names and unknown options.

    Example:
        >>> heads = Registry("head")
        >>> @heads.register("linear")
        ... class Linear:
        ...     def __init__(self, *, width: int = 8):
        ...         self.width = width
        >>> heads.build("linear", width=4).width
        4
        >>> heads.names()
        ['linear']
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Returns a class decorator that files the class under ``name``."""

        def add(cls: C) -> C:
            if name in self._classes:
                raise ConfigError(f"every {self.kind} has its own name", received=name)
            self._classes[name] = cast("type[T]", cls)
            return cls

        return add

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._classes)

    def get(self, name: str) -> type[T]:
        """Returns the class of ``name``.

        Raises:
            ConfigError: no component has this name; the message gives the nearest ones.
        """
        if name not in self._classes:
            raise ConfigError(
                f"{self.kind} must be the name of a registered {self.kind}",
                received=name,
                remedy=did_you_mean(name, self._classes),
            )
        return self._classes[name]

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The constructor options of ``name`` by option name."""
        parameters = dict(inspect.signature(self.get(name).__init__).parameters)
        parameters.pop("self")
        return parameters

    def build(self, name: str, **options: object) -> T:
        """Builds ``name`` with ``options``.

        Raises:
            ConfigError: the name or an option is unknown, an option is of another type, or a
                required option is missing.
        """
        cls, known = self.get(name), self.options(name)
        for option in options:
            if option not in known:
                raise ConfigError(
                    f"{self.kind} '{name}' has no option of this name",
                    received=option,
                    remedy=did_you_mean(option, known),
                )
        missing = [key for key, p in known.items() if p.default is p.empty and key not in options]
        if missing:
            raise ConfigError(f"{self.kind} '{name}' needs the options {missing}")
        hints = get_type_hints(cls.__init__)
        for option, value in options.items():
            if option in hints:
                check_type(option, value, hints[option])
        return cls(**options)

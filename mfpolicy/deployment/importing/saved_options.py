"""The configuration in a checkpoint: OmegaConf's objects, never made, as plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mfpolicy.errors import RunError
from mfpolicy.inert import Inert

_MAX_VALUES, _MAX_DEPTH, _MAX_HOPS = 100_000, 50, 20
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")
_ABSENT = object()


class SavedOptions:
    """Values by dotted key. Interpolations ``${a.b}`` are followed, resolvers never called.

    Args:
        tree: what the pickle says of the configuration.

    Raises:
        RunError: it is no mapping, or larger than a configuration has reason to be.
    """

    def __init__(self, tree: Any) -> None:
        self._left = _MAX_VALUES
        self._values = self._plain(tree, 0)
        if not isinstance(self._values, dict):
            raise RunError(
                "a checkpoint must hold the configuration it was trained with",
                received=type(tree).__name__,
                remedy="import a file that the training script's save_checkpoint wrote",
            )

    def get(self, key: str, default: Any = None) -> Any:
        """Returns the value of a dotted key, ``default`` where there is none.

        Raises:
            RunError: interpolations go round in circles, or unfold without end.
        """
        found: Any = self._values
        for part in key.split("."):
            found = self._followed(found)
            if not isinstance(found, Mapping) or part not in found:
                return default
            found = found[part]
        return self._resolved(found, 0)

    def _resolved(self, value: Any, depth: int) -> Any:
        self._spend(depth)
        value = self._followed(value)
        if isinstance(value, Mapping):
            return {key: self._resolved(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self._resolved(item, depth + 1) for item in value]
        return value

    def _followed(self, value: Any, hops: int = 0) -> Any:
        match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return value
        if hops > _MAX_HOPS:
            raise RunError("the checkpoint's configuration must not go in circles", received=value)
        found: Any = self._values
        for part in match[1].split("."):
            found = self._followed(found, hops + 1)
            found = found.get(part, _ABSENT) if isinstance(found, Mapping) else _ABSENT
        return value if found is _ABSENT else self._followed(found, hops + 1)

    def _plain(self, node: Any, depth: int) -> Any:
        self._spend(depth)
        if isinstance(node, Inert):
            state = node.state if isinstance(node.state, Mapping) else {}
            key = next((key for key in ("_content", "_val") if key in state), None)
            return f"<{node.reference}>" if key is None else self._plain(state[key], depth + 1)
        if isinstance(node, Mapping):
            return {str(key): self._plain(item, depth + 1) for key, item in node.items()}
        if isinstance(node, (list, tuple)):
            return [self._plain(item, depth + 1) for item in node]
        return node

    def _spend(self, depth: int) -> None:
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise RunError(
                f"a checkpoint's configuration must have at most {_MAX_VALUES} values, "
                f"{_MAX_DEPTH} levels deep",
                received="more",
            )

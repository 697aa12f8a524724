"""What a pickle says, as plain data: no class is looked up, no function is called.

A pickle is a program; ``pickle.load`` runs it, and the functions that it names with it. Here every
global is a placeholder that only remembers its name and what it was given, so that the program
builds a description of objects, whoever wrote it. It is read twice: first operation by operation,
which bounds its size, its placeholders and the memory that it can ask for, then for its content.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import IO, Any, ClassVar, NamedTuple

from mfpolicy.errors import RunError

MAX_BYTES, MAX_OPERATIONS, MAX_GLOBALS = 64 << 20, 4_000_000, 50_000
_GLOBALS = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})
_MEMO = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


class Inert:
    """An object that a pickle describes, never made.

    Attributes:
        reference: dotted name of the class or function that would have been called.
        arguments: what it would have been called with.
        state: what would have been set on the result.
        items, entries: what would have been appended to it, or stored in it by key.
    """

    reference: ClassVar[str] = ""
    __slots__ = ("arguments", "entries", "items", "state")

    def __new__(cls, *arguments: Any, **_: Any) -> Inert:
        """Keeps what it is called with."""
        self = object.__new__(cls)
        self.arguments, self.state, self.items, self.entries = arguments, None, [], {}
        return self

    def __init__(self, *arguments: Any, **_: Any) -> None:
        """Does nothing more."""

    def __call__(self, *arguments: Any) -> Inert:
        """Describes the call of an object."""
        return Inert(self, *arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def append(self, item: Any) -> None:
        """Keeps an item."""
        self.items.append(item)

    def extend(self, items: Any) -> None:
        """Keeps items."""
        self.items.extend(items)


class Persistent(NamedTuple):
    """What the pickle refers to outside itself: a storage of PyTorch, for instance."""

    identity: Any


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> type[Inert]:
        # a class of its own each time: what a pickle sets on it, it sets on nothing else
        return type("Inert", (Inert,), {"reference": f"{module}.{name}", "__slots__": ()})

    def persistent_load(self, pid: Any, /) -> Persistent:
        return Persistent(pid)


def read_inert(file: IO[bytes]) -> Any:
    """Reads one pickle from ``file`` and leaves it positioned behind.

    Returns:
        Numbers, text, bytes, lists, tuples, sets and mappings as they are, :class:`Inert` and
        :class:`Persistent` for all else.

    Raises:
        RunError: it is no whole pickle, or larger than a checkpoint has reason to be.
    """
    start = file.tell()
    try:
        _measure(file, start)
        end = file.tell()
        file.seek(start)
        program = file.read(end - start)
        return _Unpickler(io.BytesIO(program)).load()
    except RunError:
        raise
    except Exception as error:  # a hostile or damaged program fails in any way it likes
        raise RunError(
            "a checkpoint must hold a whole pickle",
            received=f"{type(error).__name__}: {error}"[:200],
            remedy="copy the file again",
        ) from error


def _measure(file: IO[bytes], start: int) -> None:
    globals_seen = 0
    for count, (operation, argument, place) in enumerate(pickletools.genops(file)):
        globals_seen += operation.name in _GLOBALS
        far = operation.name in _MEMO and int(argument or 0) > MAX_OPERATIONS
        if (
            far
            or count > MAX_OPERATIONS
            or globals_seen > MAX_GLOBALS
            or (place or 0) - start > MAX_BYTES
        ):
            raise RunError(
                f"the pickle in a checkpoint must have at most {MAX_BYTES >> 20} MiB, "
                f"{MAX_OPERATIONS} operations and {MAX_GLOBALS} names",
                received="more",
                remedy="import the checkpoint that the training script wrote",
            )

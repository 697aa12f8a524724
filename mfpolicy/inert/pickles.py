"""What a pickle says, as plain data: no class is looked up, no function is called.

A pickle is a program; ``pickle.load`` runs it, and the functions that it names with it. Here its
operations are read one by one and carried out on plain values alone: every name is a placeholder
that only remembers what it was given, so that the program builds a description of objects, whoever
wrote it. Its size, its operations, its names and what it uses as keys are bounded while reading.
"""

from __future__ import annotations

import pickletools
from collections.abc import Collection
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

from mfpolicy.errors import RunError, UserError
from mfpolicy.inert.machine import Machine, Malformed, OutOfBounds

MAX_GLOBALS = 50_000


@dataclass(frozen=True)
class PickleKind:
    """What a pickle should be, and what it may hold.

    Attributes:
        what: in messages, for example ``a checkpoint``.
        error: raised where it is something else.
        max_bytes, max_operations: size of the pickle, and steps of its program.
        names: dotted names that it may mention; None allows all, since none is ever looked up.
    """

    what: str
    error: type[UserError]
    max_bytes: int
    max_operations: int
    names: Collection[str] | None = None


CHECKPOINT = PickleKind("a checkpoint", RunError, 64 << 20, 4_000_000)


class Global:
    """A class or function that a pickle names, never looked up.

    Attributes:
        reference: its dotted name.
    """

    __slots__ = ("reference",)

    def __init__(self, reference: str) -> None:
        self.reference = reference


class Inert:
    """An object that a pickle describes, never made.

    Attributes:
        reference: dotted name of the class or function that would have been called; empty where
            that is itself an object, which is then the first of the arguments.
        arguments: what it would have been called with.
        state: what would have been set on the result.
        items, entries: what would have been appended to it, or stored in it by key.
    """

    __slots__ = ("arguments", "entries", "items", "reference", "state")

    def __init__(self, reference: str, arguments: tuple[Any, ...]) -> None:
        self.reference, self.arguments = reference, arguments
        self.state: Any = None
        self.items: list[Any] = []
        self.entries: dict[Any, Any] = {}


class Persistent(NamedTuple):
    """What the pickle refers to outside itself: a storage of PyTorch, for instance."""

    identity: Any


def read_inert(file: IO[bytes], kind: PickleKind = CHECKPOINT) -> Any:
    """Reads one pickle from ``file`` and leaves it positioned behind.

    Returns:
        Numbers, text, bytes, lists, tuples, sets and mappings as they are, :class:`Global`,
        :class:`Inert` and :class:`Persistent` for all else.

    Raises:
        UserError: of ``kind.error``: it is no whole pickle, is larger than ``kind`` allows, or
            mentions a name that ``kind`` does not list.

    Example:
        >>> import io, pickle
        >>> found = read_inert(io.BytesIO(pickle.dumps({"a": slice(1, 2)})))
        >>> found["a"].reference, found["a"].arguments
        ('builtins.slice', (1, 2, None))
    """
    reader: Any = _Bounded(file, kind.max_bytes)
    machine = Machine(_Names(kind), Inert, Global, Persistent)
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(reader)):
            if count > kind.max_operations:
                raise OutOfBounds
            machine.carry_out(operation.name, argument)
        return machine.result
    except UserError:
        raise
    except OutOfBounds as error:
        raise kind.error(
            f"the pickle in {kind.what} must have at most {kind.max_bytes >> 20} MiB, "
            f"{kind.max_operations} operations, {MAX_GLOBALS} names, and small numbers, texts "
            "or tuples of these as keys",
            received="more",
            remedy="give the file that its own program wrote",
        ) from error
    except Exception as error:  # a hostile or damaged program fails in any way it likes
        known = isinstance(error, Malformed | ValueError | EOFError)
        raise kind.error(
            f"{kind.what} must hold a whole pickle",
            received=f"{'' if known else type(error).__name__ + ': '}{error}"[:200],
            remedy="copy the file again",
        ) from error


class _Names:
    """Counts the names that a pickle mentions, and refuses those that are not listed."""

    def __init__(self, kind: PickleKind) -> None:
        self._kind, self._count = kind, 0

    def __call__(self, reference: str) -> Global:
        self._count += 1
        if self._count > MAX_GLOBALS:
            raise OutOfBounds
        names = self._kind.names
        if names is not None and reference not in names:
            raise self._kind.error(
                f"{self._kind.what} may name the classes of arrays and of its own kind only",
                received=reference[:200],
                remedy="nothing of it was executed; do not load this file by other means unless "
                "you trust who wrote it",
            )
        return Global(reference)


class _Bounded:
    """A file that never gives, or allocates, more than it is allowed to."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file, self._left = file, limit

    def read(self, count: int) -> bytes:
        if count > self._left:
            raise OutOfBounds
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise OutOfBounds
        return line

    def tell(self) -> int:
        return self._file.tell()

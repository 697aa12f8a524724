"""The stack machine of pickle on plain values: it builds descriptions and calls nothing.

The operations and their effects are those of CPython's ``pickletools``. Whatever would look up a
name makes a placeholder, and whatever would call or change an object notes that on a placeholder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MAX_NUMBER_BITS, MAX_KEY_BITS = 4096, 60
MAX_MEMO = 4_000_000
MAX_KEY_PARTS, MAX_TUPLE_KEYS = 100, 10_000
"""A key of nested tuples costs a walk, and equal hashes of tuples can be made on purpose."""

_VALUES = frozenset(
    ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
     "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
     "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
)  # fmt: skip
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS, _GETS = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")


class Malformed(Exception):
    """The program does what no pickle does."""


class OutOfBounds(Exception):
    """The program asks for more than a pickle of its kind has reason to."""


class Machine:
    """Carries out the operations of one pickle.

    Args:
        named: a dotted name → the placeholder of a class or function.
        described: (reference, arguments) → the description of an object.
        named_type: of what ``named`` returns.
        outside: identity → a reference to something outside the pickle.

    Attributes:
        result: what the pickle stands for, once it has stopped.
    """

    def __init__(
        self,
        named: Callable[[str], Any],
        described: type,
        named_type: type,
        outside: Callable[[Any], Any],
    ) -> None:
        self.result: Any = None
        self._named, self._described = named, described
        self._named_type, self._outside = named_type, outside
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._tuple_keys = 0

    def carry_out(self, name: str, argument: Any) -> None:
        """Carries out the operation ``name``, as ``pickletools`` calls it.

        Raises:
            Malformed: the operation does not exist here or does not fit the stack.
            OutOfBounds: it asks for too much.
        """
        if name in _VALUES:
            if isinstance(argument, int) and argument.bit_length() > MAX_NUMBER_BITS:
                raise OutOfBounds
            self._push(argument)
        elif name in _CONSTANTS:
            self._push(_CONSTANTS[name])
        elif name in _EMPTY:
            self._push(_EMPTY[name]())
        elif name in _TUPLES:
            parts = [self._take() for _ in range(_TUPLES[name])]
            self._push(tuple(reversed(parts)))
        elif name in _PUTS:
            self._remember(argument)
        elif name in _GETS:
            if argument not in self._memo:
                raise Malformed("a value that was never stored")
            self._push(self._memo[argument])
        elif name not in ("PROTO", "FRAME"):
            operation = getattr(self, f"_{name.lower()}", None)
            if operation is None:
                raise Malformed(f"the operation {name}")
            operation(argument)

    def _push(self, value: Any) -> None:
        self._stack.append(value)  # the stack as it is once the value has been made

    def _take(self) -> Any:
        if not self._stack:
            raise Malformed("an operation without its values")
        return self._stack.pop()

    def _top(self) -> Any:
        value = self._take()
        self._push(value)
        return value

    def _marked(self) -> list[Any]:
        """The values since the last mark."""
        if not self._marks:
            raise Malformed("an operation without its mark")
        values, self._stack = self._stack, self._marks.pop()
        return values

    def _remember(self, place: int) -> None:
        if not 0 <= place <= MAX_MEMO:
            raise OutOfBounds
        self._memo[place] = self._top()

    def _memoize(self, _: Any) -> None:
        self._remember(len(self._memo))

    def _mark(self, _: Any) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def _pop_mark(self, _: Any) -> None:
        self._marked()

    def _dup(self, _: Any) -> None:
        self._push(self._top())

    def _stop(self, _: Any) -> None:
        self.result = self._take()

    def _tuple(self, _: Any) -> None:
        self._push(tuple(self._marked()))

    def _list(self, _: Any) -> None:
        self._push(self._marked())

    def _dict(self, _: Any) -> None:
        self._store({}, self._marked())

    def _frozenset(self, _: Any) -> None:
        self._push(frozenset(map(self._key, self._marked())))

    def _append(self, _: Any) -> None:
        value = self._take()
        self._extend([value])

    def _appends(self, _: Any) -> None:
        self._extend(self._marked())

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        target = target.items if isinstance(target, self._described) else target
        if not isinstance(target, list):
            raise Malformed("items for what is no list")
        target.extend(values)

    def _additems(self, _: Any) -> None:
        values, target = self._marked(), self._top()
        if not isinstance(target, set):
            raise Malformed("members for what is no set")
        target.update(map(self._key, values))

    def _setitem(self, _: Any) -> None:
        value, key = self._take(), self._take()
        self._store(self._take(), [key, value])

    def _setitems(self, _: Any) -> None:
        values = self._marked()
        self._store(self._take(), values)

    def _store(self, target: Any, values: list[Any]) -> None:
        """Stores keys and values in turn, and pushes the target."""
        entries = target.entries if isinstance(target, self._described) else target
        if not isinstance(entries, dict) or len(values) % 2:
            raise Malformed("entries for what is no mapping")
        for key, value in zip(values[::2], values[1::2], strict=True):
            entries[self._key(key)] = value
        self._push(target)

    def _key(self, key: Any) -> Any:
        """The key, if comparing and hashing it takes little."""
        self._tuple_keys += isinstance(key, tuple)
        waiting, parts = [key], 0
        while waiting:
            part, parts = waiting.pop(), parts + 1
            if parts > MAX_KEY_PARTS or self._tuple_keys > MAX_TUPLE_KEYS:
                raise OutOfBounds
            if isinstance(part, tuple):
                waiting += part[: MAX_KEY_PARTS + 1]
            elif isinstance(part, int) and part.bit_length() > MAX_KEY_BITS:
                raise OutOfBounds
            elif isinstance(part, (list, dict, set, frozenset, bytearray)):
                raise Malformed("a key that can be changed")
        return key

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push(self._named(f"{module}.{name}"))

    def _stack_global(self, _: Any) -> None:
        name, module = self._take(), self._take()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Malformed("a name that is no text")
        self._push(self._named(f"{module}.{name}"))

    def _reduce(self, _: Any) -> None:
        arguments, function = self._take(), self._take()
        self._call(function, arguments)

    def _newobj(self, _: Any) -> None:
        self._reduce(None)

    def _newobj_ex(self, _: Any) -> None:
        if not isinstance(self._take(), dict):
            raise Malformed("arguments by name that are no mapping")
        self._reduce(None)

    def _inst(self, argument: str) -> None:
        arguments = tuple(self._marked())
        self._global(argument)
        self._call(self._take(), arguments)

    def _obj(self, _: Any) -> None:
        values = self._marked()
        if not values:
            raise Malformed("an object without its class")
        self._call(values[0], tuple(values[1:]))

    def _call(self, function: Any, arguments: Any) -> None:
        if not isinstance(arguments, tuple):
            raise Malformed("arguments that are no tuple")
        if isinstance(function, self._named_type):
            self._push(self._described(function.reference, arguments))
        elif isinstance(function, self._described):
            self._push(self._described("", (function, *arguments)))
        else:
            raise Malformed("a call of what is no function")

    def _build(self, _: Any) -> None:
        state, target = self._take(), self._top()
        if not isinstance(target, self._described):
            raise Malformed("a state for what is no object")
        target.state = state

    def _persid(self, argument: Any) -> None:
        self._push(self._outside(argument))

    def _binpersid(self, _: Any) -> None:
        self._push(self._outside(self._take()))

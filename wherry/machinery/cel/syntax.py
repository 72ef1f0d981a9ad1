"""The syntax tree of a checked expression, read from the engine's serialized form.

Kubernetes: cel-go's `ast.Expr`; the messages are those of cel/expr/syntax.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from wherry.machinery.protobuf.wire import Payload, Reader, signed


class Const(NamedTuple):
    """A literal; `value` is None for null and for what no one here needs to know, such as floats."""

    value: str | bytes | int | bool | None


class Ident(NamedTuple):
    """A variable."""

    name: str


class Select(NamedTuple):
    """`operand.field`, or `has(operand.field)`."""

    operand: Node
    field: str
    is_test: bool


class Call(NamedTuple):
    """A function or operator; a member's receiver is the first argument."""

    function: str
    arguments: tuple[Node, ...]


class Collection(NamedTuple):
    """A list, map or message literal: all that stands in it."""

    parts: tuple[Node, ...]


class Fold(NamedTuple):
    """What macros such as `all` and `map` become: a loop over `range` that folds into `accumulator`."""

    variables: tuple[str, ...]
    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


Node: TypeAlias = Const | Ident | Select | Call | Collection | Fold

_NOTHING = Const(None)


def tree(serialized: bytes) -> Node:
    """The tree of `Expression.serialize()`."""
    reader = Reader()
    checked = _message(reader, serialized)[2]
    return _expression(reader, _message(reader, checked)[4])


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def children(node: Node) -> tuple[Node, ...]:
    """What stands directly below a node."""
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return node.arguments
        case Collection():
            return node.parts
        case Fold():
            return (node.range, node.start, node.condition, node.step, node.result)
    return ()


def _message(reader: Reader, data: bytes) -> dict[int, bytes]:
    """The last payload of each field that has bytes."""
    return {number: payload for number, _, payload in reader.fields(data) if isinstance(payload, bytes)}


def _repeated(reader: Reader, data: bytes, wanted: int) -> Iterator[bytes]:
    for number, _, payload in reader.fields(data):
        if number == wanted and isinstance(payload, bytes):
            yield payload


def _expression(reader: Reader, data: bytes) -> Node:
    for number, _, payload in reader.fields(data):
        if number in _KINDS and isinstance(payload, bytes):
            return _KINDS[number](reader, payload)
    return _NOTHING


def _const(reader: Reader, data: bytes) -> Node:
    for number, _, payload in reader.fields(data):
        return Const(_literal(number, payload))
    return _NOTHING


def _literal(number: int, payload: Payload) -> str | bytes | int | bool | None:
    match number, payload:
        case 2, int():
            return bool(payload)
        case 3, int():
            return signed(payload)
        case 4, int():
            return payload
        case 6, bytes():
            return payload.decode("utf-8", "replace")
        case 7, bytes():
            return payload
    return None


def _ident(reader: Reader, data: bytes) -> Node:
    return Ident(_message(reader, data).get(1, b"").decode())


def _select(reader: Reader, data: bytes) -> Node:
    fields = {number: payload for number, _, payload in reader.fields(data)}
    operand, field = fields.get(1, b""), fields.get(2, b"")
    if not isinstance(operand, bytes) or not isinstance(field, bytes):
        return _NOTHING
    return Select(_expression(reader, operand), field.decode(), bool(fields.get(3)))


def _call(reader: Reader, data: bytes) -> Node:
    receiver = [_expression(reader, each) for each in _repeated(reader, data, 1)]
    arguments = [_expression(reader, each) for each in _repeated(reader, data, 3)]
    return Call(_message(reader, data).get(2, b"").decode(), (*receiver, *arguments))


def _list(reader: Reader, data: bytes) -> Node:
    return Collection(tuple(_expression(reader, each) for each in _repeated(reader, data, 1)))


def _struct(reader: Reader, data: bytes) -> Node:
    parts: list[Node] = []
    for entry in _repeated(reader, data, 2):
        fields = _message(reader, entry)
        parts += [_expression(reader, fields[number]) for number in (3, 4) if number in fields]
    return Collection(tuple(parts))


def _fold(reader: Reader, data: bytes) -> Node:
    fields = _message(reader, data)

    def at(number: int) -> Node:
        return _expression(reader, fields[number]) if number in fields else _NOTHING

    variables = tuple(fields[number].decode() for number in (1, 8) if number in fields)
    return Fold(variables, at(2), fields.get(3, b"").decode(), at(4), at(5), at(6), at(7))


_KINDS = {3: _const, 4: _ident, 5: _select, 6: _call, 7: _list, 8: _struct, 9: _fold}

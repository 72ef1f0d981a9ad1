"""Rules in CEL that a custom kind's schema declares (`x-kubernetes-validations`).

    judge = judging(schema_of_the_version)
    errors = list(judge(value, "", old_value)) if judge else []

A rule sees the part of the object that its schema describes as `self`, on an update the former one as `oldSelf`; one
that names `oldSelf` holds for updates only, unless it says `optionalOldSelf`. What did not change is judged by those
alone. Kubernetes: apiextensions `schema/cel`, its messages included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from wherry.machinery import jsonpath
from wherry.machinery.cel import Environment, Failure, Program
from wherry.machinery.cel.syntax import Ident, walk
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, required
from wherry.machinery.schema.values import NOTHING, correlated
from wherry.machinery.time import parse_time

Json = dict[str, Any]
Judge = Callable[[Any, str, Any], Iterator[FieldError]]

RULES = "x-kubernetes-validations"
# How many rules one object may ask for. Kubernetes: a runtime cost budget; this many take about a second.
MOST_EVALUATIONS = 10_000
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
_LONGEST_MESSAGE = 5120

_ESCAPES = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_ESCAPED = {written: given for given, written in _ESCAPES}
_ESCAPE = re.compile("|".join(_ESCAPED))
_RESERVED = {
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
}
_RESERVED |= {"let", "loop", "package", "namespace", "return", "var", "void", "while"}


@cache
def environment() -> Environment:
    """The variables of a rule."""
    return Environment(self="dyn", oldSelf="dyn", oldValue="dyn", hasOldValue="bool")


def compiled_rule(rule: Json, word: str = "rule") -> Program | Failure:
    """The program of a rule, or of its `messageExpression`."""
    text = str(rule.get(word) or "")
    if rule.get("optionalOldSelf"):
        text = f"cel.bind(oldSelf, hasOldValue ? optional.of(oldValue) : optional.none(), {text})"
    return environment().compile(text)


def names_old(program: Program) -> bool:
    """Whether a rule is about a change."""
    return any(isinstance(node, Ident) and node.name in ("oldSelf", "oldValue") for node in walk(program.syntax))


def judging(source: Mapping[str, Any]) -> Judge | None:
    """What judges a whole object by all rules of its schema; None if there are none."""
    part = _Part(source, is_resource=True)
    if not part.has_rules:
        return None

    def judge(value: Any, path: str, old: Any) -> Iterator[FieldError]:
        budget = [MOST_EVALUATIONS]
        yield from part.judge(value, path, old, budget)
        if budget[0] < 0:
            yield forbidden(path, OUT_OF_BUDGET)

    return judge


class _Part:
    """A node of a schema with its rules, and the nodes below that have some."""

    def __init__(self, source: Mapping[str, Any], *, is_resource: bool = False) -> None:
        self.type = str(source.get("type") or ("string" if source.get("x-kubernetes-int-or-string") else "object"))
        self.rules = [_Rule(rule) for rule in source.get(RULES) or ()]
        self.is_resource = is_resource or bool(source.get("x-kubernetes-embedded-resource"))
        self.show = _shower(source)
        self.fields = {name: _Part(node) for name, node in (source.get("properties") or {}).items()}
        extra, items = source.get("additionalProperties"), source.get("items")
        self.extra = _Part(extra) if isinstance(extra, dict) else None
        self.items = _Part(items) if isinstance(items, dict) else None
        is_map = source.get("x-kubernetes-list-type") == "map"
        self.keys = tuple(source.get("x-kubernetes-list-map-keys") or ()) if is_map else ()
        below = [*self.fields.values(), *(part for part in (self.extra, self.items) if part is not None)]
        self.has_rules: bool = bool(self.rules) or any(part.has_rules for part in below)
        self.fields = {name: part for name, part in self.fields.items() if part.has_rules}

    def judge(self, value: Any, path: str, old: Any, budget: list[int]) -> Iterator[FieldError]:
        if value is None or not self.has_rules:
            return
        if self.rules:
            shown, before = self._shown(value), NOTHING if old is NOTHING or old is None else self._shown(old)
            for rule in self.rules:
                budget[0] -= 1
                if budget[0] < 0:
                    return
                yield from rule.judge(shown, before, path, self.type, is_same=old is not NOTHING and old == value)
        for part, item, place, before in self._below(value, path, old):
            yield from part.judge(item, place, before, budget)

    def _shown(self, value: Any) -> Any:
        if self.is_resource and isinstance(value, dict):
            metadata = value.get("metadata") or {}
            value = {
                **value,
                "metadata": {name: metadata[name] for name in ("name", "generateName") if name in metadata},
            }
        return self.show(value)

    def _below(self, value: Any, path: str, old: Any) -> Iterator[tuple[_Part, Any, str, Any]]:
        if isinstance(value, dict):
            known = old if isinstance(old, dict) else {}
            for name, item in value.items():
                part = self.fields.get(name) or self.extra
                if part is not None:
                    place = f"{path}.{name}" if path else name
                    yield part, item, place, known.get(name, NOTHING)
        elif isinstance(value, list) and self.items is not None:
            before = correlated(value, old, self.keys) if self.keys else [NOTHING] * len(value)
            for index, item in enumerate(value):
                yield self.items, item, f"{path}[{index}]", before[index]


class _Rule:
    """One rule, compiled when it is first needed."""

    def __init__(self, source: Json) -> None:
        self.source = source
        self.program: Program | Failure | None = None

    def judge(self, value: Any, old: Any, path: str, type: str, *, is_same: bool) -> Iterator[FieldError]:
        if self.program is None:
            self.program = compiled_rule(self.source)
        if isinstance(self.program, Failure):
            yield invalid(path, type, f"rule compile error: {self.program.message}")
            return
        is_change = names_old(self.program)
        if (is_change and old is NOTHING and not self.source.get("optionalOldSelf")) or (is_same and not is_change):
            return
        known = None if old is NOTHING else old
        variables = {"self": value, "oldSelf": known, "oldValue": known, "hasOldValue": old is not NOTHING}
        answer = self.program.evaluate(**variables)
        if isinstance(answer, Failure):
            yield invalid(path, type, _told(answer, str(self.source["rule"])))
        elif answer is not True:
            yield self._broken(path, type, variables)

    def _broken(self, path: str, type: str, variables: Json) -> FieldError:
        message = self._message(variables)
        if self.source.get("fieldPath"):
            path += _place(str(self.source["fieldPath"]))
            path = path.removeprefix(".")
        match self.source.get("reason"):
            case "FieldValueRequired":
                return required(path, message)
            case "FieldValueForbidden":
                return forbidden(path, message)
            case "FieldValueDuplicate":
                return duplicate(path, type)
        return invalid(path, type, message)

    def _message(self, variables: Json) -> str:
        if self.source.get("messageExpression"):
            program = compiled_rule(self.source, "messageExpression")
            answer = program if isinstance(program, Failure) else program.evaluate(**variables)
            if isinstance(answer, str) and answer.strip() and "\n" not in answer and len(answer) <= _LONGEST_MESSAGE:
                return answer.strip()
        return str(self.source.get("message") or f"failed rule: {self.source['rule']}")


def _told(failure: Failure, rule: str) -> str:
    message = failure.message
    if message.startswith("no such overload"):
        why = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"{message}: {why}: {rule}"
    if message.startswith("operation cancelled"):
        return f"{message}: no further validation rules will be run due to call cost exceeds limit for rule: {rule}"
    return f"{message} evaluating rule: {rule}"


def _place(field_path: str) -> str:
    """A rule's `fieldPath` as errors print it: `.spec['a.b'].c` -> `.spec[a.b].c`."""
    text = ""
    for step in jsonpath.parse(field_path):
        if isinstance(step, jsonpath.Key):
            text += f".{step.name}" if re.fullmatch(r"\w+", step.name) else f"[{step.name}]"
    return text


# ---- values as rules see them ----------------------------------------------------------------------------------------


def escaped(name: str) -> str:
    """A field's name as it is written in CEL.

    >>> escaped("namespace"), escaped("max-size"), escaped("replicas")
    ('__namespace__', 'max__dash__size', 'replicas')
    """
    if name in _RESERVED:
        return f"__{name}__"
    for given, written in _ESCAPES:
        name = name.replace(given, written)
    return name


def unescaped(text: str) -> str:
    """What `escaped` was given, if it gives this.

    >>> [unescaped(escaped(name)) for name in ("namespace", "a__.-_b", "points")]
    ['namespace', 'a__.-_b', 'points']
    """
    bare = text.removeprefix("__").removesuffix("__")
    if bare in _RESERVED:
        return bare
    return _ESCAPE.sub(lambda found: _ESCAPED[found[0]], text)


def _shower(source: Mapping[str, Any]) -> Callable[[Any], Any]:
    """What makes the value that rules see: times and durations parsed, fields with names that CEL can write."""
    return _converter(source) or (lambda value: value)


def _converter(source: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    if source.get("type") == "string" and source.get("format") in _PARSERS:
        return _lenient(_PARSERS[source["format"]])
    fields = {name: _converter(node) for name, node in (source.get("properties") or {}).items()}
    names = {name: escaped(name) for name in fields if escaped(name) != name}
    fields_that_change = {name: convert for name, convert in fields.items() if convert is not None}
    if names or fields_that_change:
        return lambda value: _fields_converted(value, names, fields_that_change)
    for word in ("additionalProperties", "items"):
        node = source.get(word)
        convert = _converter(node) if isinstance(node, dict) else None
        if convert is not None:
            return _each(convert)
    return None


def _fields_converted(value: Any, names: Mapping[str, str], converters: Mapping[str, Callable[[Any], Any]]) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        names.get(name, name): converters[name](item) if name in converters else item for name, item in value.items()
    }


def _each(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def converted(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: convert(item) for name, item in value.items()}
        return [convert(item) for item in value] if isinstance(value, list) else value

    return converted


def _lenient(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def parsed(value: Any) -> Any:
        try:
            return parse(value)
        except (ValueError, TypeError):
            return value

    return parsed


_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNIT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def _duration(text: str) -> timedelta:
    sign = -1 if text.startswith("-") else 1
    return timedelta(seconds=sign * sum(float(number) * _SECONDS[unit] for number, unit in _UNIT.findall(text)))


def _time_message(text: str) -> Any:
    from google.protobuf.timestamp_pb2 import Timestamp

    message = Timestamp()
    message.FromDatetime(parse_time(text))
    return message


def _duration_message(text: str) -> Any:
    from google.protobuf.duration_pb2 import Duration

    message = Duration()
    message.FromTimedelta(_duration(text))
    return message


# Inside other values the engine takes messages only.
_PARSERS: dict[str, Callable[[str], Any]] = {"date-time": _time_message, "duration": _duration_message}

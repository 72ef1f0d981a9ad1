"""Selectors: which objects are meant, by their labels or by a few of their fields.

    parse_label_selector("app=web,tier in (front,back),!canary").matches({"app": "web", "tier": "back"})
    from_label_selector({"matchLabels": {"app": "web"}}).matches({"app": "web"})
    parse_field_selector("spec.nodeName=node-1,status.phase!=Failed").required("spec.nodeName") == "node-1"

Two notations lead to one compiled value, `Requirements`: the text of URLs and of `kubectl -l`, and the LabelSelector
object of the API. Of the latter, a missing one selects nothing and an empty one everything. Whatever is wrong is a
ValueError.

Kubernetes: apimachinery `labels`, `fields` and `LabelSelectorAsSelector`, texts of errors included. Differs: texts
over 64 KiB or 250 terms are refused, and `==` prints as `=`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from wherry.machinery import names
from wherry.machinery.field_errors import invalid

Term = TypeVar("Term")

MAX_TEXT = 64 * 1024
# Every object is asked every one of them.
MAX_TERMS = 250

_TOKEN = re.compile(r"==|!=|[=!(),<>]|[^\s=!(),<>]+")
_SYMBOLS = frozenset(("=", "==", "!=", "!", "(", ")", ",", "<", ">", ""))
_OPERATORS = frozenset(("in", "notin", "=", "==", "!=", "<", ">"))
_API_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


class Requirement(NamedTuple):
    """One term: `operator` is `in`, `notin`, `=`, `!=`, `exists`, `!`, `>` or `<`.

    `!=` and `notin` hold for objects without the label, too.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels satisfies the term."""
        value = labels.get(self.key)
        if self.operator in ("=", "in"):
            return value in self.values
        if self.operator in ("!=", "notin"):
            return value not in self.values
        if self.operator in (">", "<"):
            number, bound = _integer(value), int(self.values[0])
            return number is not None and (number > bound if self.operator == ">" else number < bound)
        return (value is not None) == (self.operator == "exists")

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        if self.operator in ("in", "notin"):
            return f"{self.key} {self.operator} ({','.join(self.values)})"
        return f"{self.key}{self.operator}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class Requirements:
    """A compiled label selector: all terms must hold. `EVERYTHING` has no terms; `NOTHING` selects nothing."""

    terms: tuple[Requirement, ...] = ()
    selects_nothing: bool = False

    @property
    def selects_everything(self) -> bool:
        """Whether no label can make a difference."""
        return not self.terms and not self.selects_nothing

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return not self.selects_nothing and all(term.matches(labels) for term in self.terms)

    def __str__(self) -> str:
        return ",".join(str(term) for term in self.terms)


EVERYTHING = Requirements()
NOTHING = Requirements(selects_nothing=True)


def parse_label_selector(text: str) -> Requirements:
    """Compile the text form; terms are sorted by key.

    >>> str(parse_label_selector("x in (b, a),!y, a==1,z>5"))
    'a=1,x in (a,b),!y,z>5'
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"a selector may not be longer than {MAX_TEXT} characters, this one has {len(text)}")
    return _compiled(_few(list(islice(_Parser(text).terms(), MAX_TERMS + 1))))


def _few(terms: list[Term]) -> list[Term]:
    if len(terms) > MAX_TERMS:
        raise ValueError(f"a selector may not have more than {MAX_TERMS} terms")
    return terms


def from_label_selector(selector: Mapping[str, Any] | None) -> Requirements:
    """Compile a LabelSelector object: None selects nothing, {} everything.

    >>> str(from_label_selector({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}))
    'a=1,b'
    """
    if selector is None:
        return NOTHING
    try:
        return _compiled(_terms(selector))
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{selector!r} is not a label selector: {error}") from None


def _terms(selector: Mapping[str, Any]) -> list[Requirement]:
    terms = [_requirement(key, "=", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = expression.get("operator", "")
        if operator not in _API_OPERATORS:
            raise ValueError(f'"{operator}" is not a valid label selector operator')
        key, values = expression.get("key", ""), expression.get("values") or ()
        terms.append(_requirement(key, _API_OPERATORS[operator], values))
    return terms


def from_labels(labels: Mapping[str, str] | None) -> Requirements:
    """Compile a plain map, as Services and ReplicationControllers have it: none at all selects nothing."""
    return _compiled([_requirement(key, "=", (value,)) for key, value in labels.items()]) if labels else NOTHING


def _compiled(terms: Iterable[Requirement]) -> Requirements:
    return Requirements(tuple(sorted(terms, key=lambda term: term.key)))


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch("[+-]?[0-9]{1,18}", text) else None


def _requirement(key: str, operator: str, values: Iterable[str] = ()) -> Requirement:
    """A checked term."""
    values = tuple(sorted(set(values)))
    if errors := names.qualified_name(key):
        raise ValueError(str(invalid("key", key, "; ".join(errors))))
    if operator in ("in", "notin") and not values:
        raise ValueError("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    if operator in ("exists", "!") and values:
        raise ValueError(str(invalid("values", values, "values set must be empty for exists and does not exist")))
    if operator in (">", "<") and _integer(values[0]) is None:
        raise ValueError(str(invalid("values[0]", values[0], "for 'Gt', 'Lt' operators, the value must be an integer")))
    for index, value in enumerate(values):
        if errors := names.label_value(value):
            raise ValueError(str(invalid(f"values[{index}][{key}]", value, "; ".join(errors))))
    return Requirement(key, operator, values)


def _is_word(token: str) -> bool:
    return token not in _SYMBOLS


class _Parser:
    """Reads the text form, one token ahead; the end is the empty token."""

    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        self._next = 0

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, expected: str, accepts: Callable[[str], bool] = _is_word) -> str:
        token = self._peek()
        if not accepts(token):
            raise ValueError(f"found '{token}', expected: {expected}")
        self._next += 1
        return token

    def terms(self) -> Iterator[Requirement]:
        if self._peek() not in ("", "!") and not _is_word(self._peek()):
            raise ValueError(f"found '{self._peek()}', expected: !, identifier, or 'end of string'")
        while self._peek():
            yield self._term()
            if self._take("',' or 'end of string'", lambda token: token in (",", "")):
                self._expect_term()

    def _expect_term(self) -> None:
        token = self._peek()
        if token != "!" and not _is_word(token):
            raise ValueError(f"found '{token}', expected: identifier after ','")

    def _term(self) -> Requirement:
        try:
            if self._peek() == "!":
                self._next += 1
                return _requirement(self._take("identifier"), "!")
            key = self._take("identifier")
            if self._peek() in ("", ","):
                return _requirement(key, "exists")
            operator = self._take("in, notin, =, ==, !=, gt, lt", _OPERATORS.__contains__)
            values = self._set() if operator in ("in", "notin") else (self._value(),)
            return _requirement(key, "=" if operator == "==" else operator, values)
        except ValueError as error:
            raise ValueError(f"unable to parse requirement: {error}") from None

    def _value(self) -> str:
        return "" if self._peek() in ("", ",") else self._take("identifier")

    def _set(self) -> list[str]:
        self._take("'('", lambda token: token == "(")
        values = [self._member()]
        while self._take("',' or ')'", lambda token: token in (",", ")")) == ",":
            values.append(self._member())
        return values

    def _member(self) -> str:
        return "" if self._peek() in (",", ")") else self._take("',', ')' or identifier")


class FieldTerm(NamedTuple):
    """`name=value`, or `name!=value` when negated."""

    name: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        escaped = re.sub(r"([\\,=])", r"\\\1", self.value)
        return f"{self.name}{'!=' if self.negated else '='}{escaped}"


@dataclass(frozen=True, slots=True)
class FieldTerms:
    """A compiled field selector: all terms must hold. Values compare as text; a field that is not there is empty."""

    terms: tuple[FieldTerm, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The fields it reads; which of them a kind supports is the kind's business."""
        return frozenset(term.name for term in self.terms)

    @property
    def selects_everything(self) -> bool:
        """Whether there are no terms."""
        return not self.terms

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object whose fields have these values is selected."""
        return all((fields.get(term.name, "") == term.value) != term.negated for term in self.terms)

    def required(self, name: str) -> str | None:
        """The value that a field must have, if the selector says so: a shortcut to one object or one node."""
        return next((term.value for term in self.terms if term.name == name and not term.negated), None)

    def __str__(self) -> str:
        return ",".join(str(term) for term in self.terms)


def parse_field_selector(text: str) -> FieldTerms:
    r"""Compile the text form; in values, `\` escapes `,`, `=` and `\`.

    >>> parse_field_selector(r"metadata.name=a\,b,status.phase!=Failed").required("metadata.name")
    'a,b'
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"a selector may not be longer than {MAX_TEXT} characters, this one has {len(text)}")
    parts = _few(re.findall(r"(?:\\.|[^\\,]|\\$)+", text, re.DOTALL))
    return FieldTerms(tuple(_field_term(part, text) for part in parts))


def _field_term(part: str, text: str) -> FieldTerm:
    found = re.match(r"(.*?)(!=|==|=)(.*)", part, re.DOTALL)
    if found is None:
        raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
    return FieldTerm(found[1], _unescaped(found[3]), found[2] == "!=")


def _unescaped(value: str) -> str:
    def plain(special: re.Match[str]) -> str:
        if special[0] in (",", "="):
            raise ValueError(f"invalid field selector: unescaped character in value: {special[0]}")
        if special[0] not in (r"\\", r"\,", r"\="):
            raise ValueError(f"invalid field selector: invalid escape sequence: {special[0]}")
        return special[0][1]

    return re.sub(r"\\.?|[,=]", plain, value, flags=re.DOTALL)

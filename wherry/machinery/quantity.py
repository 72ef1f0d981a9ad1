"""Quantity: an amount of cpu, memory or anything else, exact to a billionth.

    Quantity.parse("1.5Gi") + Quantity.parse("512Mi") == Quantity.parse("2Gi")

A quantity is a whole number of billionths (`nanos`) and the notation it was written in, which is kept when it is
printed: SI suffixes (`500m`, `2k`), powers of 1024 (`1Gi`) or an exponent (`1e3`). Two are equal when their
amounts are.

Kubernetes: apimachinery `resource.Quantity`, its rounding up to a billionth and its cap of 2^63-1 on powers of 1024
included. Differs: other notations are capped as well, at 10^36; what is too large for the largest suffix is printed
with that suffix (`1000E`, which kubectl prints as `1`); `1E3`, `1e0`, `1.` and `+1` are printed as any other number
instead of unchanged; a lone sign or point, texts over 256 characters and exponents beyond 999 (`9e999999999`, with
which Kubernetes keeps a core busy) are refused.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache, total_ordering
from typing import Any, NoReturn, Self, cast

FORMAT_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_MESSAGE = "unable to parse quantity's suffix"

MAX_TEXT = 256
MAX_INT64 = 2**63 - 1
NANOS = 10**9
_MAX_DECIMAL_DIGITS = 36
_MAX_EXPONENT = 999
_MAX_DECIMAL: int = 10**_MAX_DECIMAL_DIGITS

_TEXT = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX_OF = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_SUFFIX_OF = {0: "", **{exponent: suffix for suffix, exponent in _BINARY_SUFFIXES.items()}}


class Format(Enum):
    """The notation a quantity was written in."""

    DECIMAL_SI = "DecimalSI"
    BINARY_SI = "BinarySI"
    DECIMAL_EXPONENT = "DecimalExponent"


@total_ordering
class Quantity:
    """An exact amount; `nanos` billionths. Immutable; compares by amount alone.

    A plain class, because msgspec reads a dataclass as a JSON object before it would ask us to parse a quantity.
    """

    __slots__ = ("format", "nanos")

    nanos: int
    format: Format

    def __init__(self, nanos: int = 0, format: Format = Format.DECIMAL_SI) -> None:
        object.__setattr__(self, "nanos", nanos)
        object.__setattr__(self, "format", format)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Quantity does not change; {name} stays {getattr(self, name, None)!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Quantity does not change; {name} stays {getattr(self, name, None)!r}")

    def __reduce__(self) -> tuple[type[Quantity], tuple[int, Format]]:
        return type(self), (self.nanos, self.format)

    def __eq__(self, other: object) -> bool:
        return self.nanos == other.nanos if isinstance(other, Quantity) else NotImplemented

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos if isinstance(other, Quantity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __repr__(self) -> str:
        return f"Quantity(nanos={self.nanos}, format={self.format})"

    @classmethod
    def parse(cls, value: str | int | float) -> Self:
        """The quantity a JSON string or number stands for; ValueError for anything else.

        >>> Quantity.parse("0.5").canonical(), Quantity.parse("1024Mi").canonical(), Quantity.parse("1e3").canonical()
        ('500m', '1Gi', '1e3')
        """
        if type(value) is str:
            return cast(Self, _shared(value))
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(FORMAT_MESSAGE)
        if isinstance(value, int) and abs(value) >= _MAX_DECIMAL:
            return cls((1 if value > 0 else -1) * _MAX_DECIMAL * NANOS)
        return cast(Self, _shared(str(value)))

    @classmethod
    def from_millis(cls, millis: int, format: Format = Format.DECIMAL_SI) -> Self:
        """So many thousandths: cpu is often counted in them."""
        return cls(millis * 10**6, format)

    @classmethod
    def from_value(cls, value: int, format: Format = Format.DECIMAL_SI) -> Self:
        """So many whole units: bytes, pods, devices."""
        return cls(value * NANOS, format)

    def canonical(self) -> str:
        """The one text for this amount in this notation: no fraction, and the largest suffix that needs none.

        >>> Quantity.parse("1.5Gi").canonical(), Quantity.parse("0.5Ki").canonical(), Quantity.parse("1100").canonical()
        ('1536Mi', '512', '1100')
        """
        if self.format is Format.BINARY_SI and abs(self.nanos) >= 1024 * NANOS and self.nanos % NANOS == 0:
            return _binary_text(self.nanos // NANOS)
        return _decimal_text(self.nanos, exponents=self.format is Format.DECIMAL_EXPONENT)

    @property
    def millis(self) -> int:
        """Thousandths, rounded away from zero, within 64 bits. Kubernetes: MilliValue."""
        return _bounded(_divide_away_from_zero(self.nanos, 10**6))

    @property
    def value(self) -> int:
        """Whole units, rounded away from zero, within 64 bits. Kubernetes: Value."""
        return _bounded(_divide_away_from_zero(self.nanos, NANOS))

    def __str__(self) -> str:
        return self.canonical()

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nanos, self.format)


def canonical(value: str | int | float) -> str:
    """The canonical text of a quantity's JSON value; ValueError if it is none.

    >>> canonical(0.5), canonical("1000m"), canonical("100M"), canonical("0.1n")
    ('500m', '1', '100M', '1n')
    """
    return _cached(value)[0]


def millis(value: str | int | float) -> int:
    """Thousandths of a quantity's JSON value, rounded up: `millis("0.5") == 500`."""
    return _cached(value)[1]


def value(value: str | int | float) -> int:
    """Whole units of a quantity's JSON value, rounded up: `value("1Ki") == 1024`."""
    return _cached(value)[2]


def _cached(value: Any) -> tuple[str, int, int]:
    if not isinstance(value, str | int | float) or (isinstance(value, str) and len(value) > MAX_TEXT):
        raise ValueError(FORMAT_MESSAGE)
    return _readings(value)


@lru_cache(maxsize=4096, typed=True)
def _readings(value: str | int | float) -> tuple[str, int, int]:
    quantity = Quantity.parse(value)
    return quantity.canonical(), quantity.millis, quantity.value


@lru_cache(maxsize=1024)
def _shared(text: str) -> Quantity:
    """One object for all quantities with the same text: pods by the thousand ask for the same."""
    return Quantity(*_parse(text))


def _parse(text: str) -> tuple[int, Format]:
    found = _TEXT.fullmatch(text) if len(text) <= MAX_TEXT else None
    if found is None or not (found[2] or found[3]):
        raise ValueError(FORMAT_MESSAGE)
    sign, whole, fraction, suffix = found[1], found[2], found[3] or "", found[4]
    digits, places = int(whole + fraction), len(fraction)

    if suffix in _BINARY_SUFFIXES:
        nanos, format = _binary_nanos(digits << _BINARY_SUFFIXES[suffix], places)
    else:
        exponent, format = _decimal_suffix(suffix)
        nanos = _decimal_nanos(digits, exponent - places)
    return (-nanos if sign == "-" else nanos), format


def _decimal_suffix(suffix: str) -> tuple[int, Format]:
    if suffix in _DECIMAL_SUFFIXES:
        return _DECIMAL_SUFFIXES[suffix], Format.DECIMAL_SI
    if suffix[0] in "eE" and suffix[1:].lstrip("+-").isdigit():
        exponent = int(suffix[1:])
        if abs(exponent) > _MAX_EXPONENT:
            raise ValueError(SUFFIX_MESSAGE)
        return exponent, Format.DECIMAL_EXPONENT
    raise ValueError(SUFFIX_MESSAGE)


def _binary_nanos(scaled: int, places: int) -> tuple[int, Format]:
    nanos = _divide_away_from_zero(scaled * NANOS, 10**places)
    # Fractions of one unit cannot be told in powers of 1024.
    return min(nanos, MAX_INT64 * NANOS), Format.DECIMAL_SI if 0 < nanos < NANOS else Format.BINARY_SI


def _decimal_nanos(digits: int, exponent: int) -> int:
    if digits == 0:
        return 0
    size = len(str(digits)) + exponent
    if size > _MAX_DECIMAL_DIGITS:
        return _MAX_DECIMAL * NANOS
    if size < -9:
        return 1  # whoever asks for something gets something
    shift = exponent + 9
    if shift < 0:
        return _divide_away_from_zero(digits, 10**-shift)
    return digits * int(10**shift)


def _divide_away_from_zero(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor) if dividend >= 0 else dividend // divisor


def _bounded(number: int) -> int:
    return max(-MAX_INT64 - 1, min(number, MAX_INT64))


def _binary_text(units: int) -> str:
    exponent = 0
    while units % 1024 == 0 and exponent < 60:
        units, exponent = units // 1024, exponent + 10
    return f"{units}{_BINARY_SUFFIX_OF[exponent]}"


def _decimal_text(nanos: int, *, exponents: bool) -> str:
    if nanos == 0:
        return "0"
    number, exponent = nanos, -9
    while number % 1000 == 0 and (exponents or exponent < 18):
        number, exponent = number // 1000, exponent + 3
    if exponents:
        return f"{number}e{exponent}" if exponent else str(number)
    return f"{number}{_DECIMAL_SUFFIX_OF[exponent]}"

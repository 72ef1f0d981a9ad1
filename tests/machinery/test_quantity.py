"""Quantities: what Kubernetes prints for what people write."""

from __future__ import annotations

import contextlib
import doctest
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.machinery import quantity
from wherry.machinery.quantity import MAX_INT64, Quantity
from wherry.machinery.view import View

SUFFIXES = [
    "",
    "n",
    "u",
    "m",
    "k",
    "M",
    "G",
    "T",
    "P",
    "E",
    "Ki",
    "Mi",
    "Gi",
    "Ti",
    "Pi",
    "Ei",
    "e0",
    "e3",
    "E-2",
    "e+7",
]
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
texts = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "+", "-"]),
    st.integers(0, 10**12),
    st.sampled_from(["", ".0", ".5", ".001", ".000000001"]),
    st.sampled_from(SUFFIXES),
)


def test_doctests():
    assert doctest.testmod(quantity).failed == 0


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0Gi", "0"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.", "1"),
        ("+1", "1"),
        ("-1.5", "-1500m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1024Mi", "1Gi"),
        ("1023Mi", "1023Mi"),
        ("1.5Gi", "1536Mi"),
        ("1024", "1024"),
        ("1Ki", "1Ki"),
        ("0.5Ki", "512"),
        ("0.001Ki", "1024m"),
        ("-2048Ki", "-2Mi"),
        ("1000Ki", "1000Ki"),
        ("1000k", "1M"),
        ("128974848", "128974848"),
        ("129e6", "129e6"),
        ("129M", "129M"),
        ("1e3", "1e3"),
        ("1E3", "1e3"),
        ("1e4", "10e3"),
        ("1000e0", "1e3"),
        ("1e0", "1"),
        ("12e-4", "1200e-6"),
        ("1E", "1E"),
        ("0.1n", "1n"),
        ("0.0000000001", "1n"),
        ("-0.0000000001", "-1n"),
        ("1.0000000001", "1000000001n"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808Ki", "9223372036854775807"),
        ("-100Ei", "-9223372036854775807"),
        (5, "5"),
        (1024, "1024"),
        (2000, "2k"),
        (0.5, "500m"),
        (1e-07, "100e-9"),
    ],
)
def test_prints_the_canonical_text(written, printed):
    assert quantity.canonical(written) == printed


@pytest.mark.parametrize(
    "text", ["", " ", "1 Gi", "1KI", " 1", "1\n", "-", ".", "Gi", "1.1.M", "1,5", "0x1", "aoeu", "1e9.3", "١"]
)
def test_refuses_what_does_not_look_like_a_quantity(text):
    with pytest.raises(ValueError, match="quantities must match the regular expression"):
        Quantity.parse(text)


@pytest.mark.parametrize("text", ["0.1mi", "1i", "1e", "1Kie3", "1k5", "1-2", "3e+", "1Mi0"])
def test_refuses_unknown_suffixes(text):
    with pytest.raises(ValueError, match="unable to parse quantity's suffix"):
        Quantity.parse(text)


@pytest.mark.parametrize("thing", [True, None, [], {}, float("nan"), float("inf"), "9" * 300])
def test_refuses_what_is_no_number(thing):
    with pytest.raises(ValueError, match="quantities must match"):
        quantity.canonical(thing)


@pytest.mark.parametrize("bomb", ["9e999999999", "-9e999999999", "0e999999999", "1e-999999999", "1e" + "9" * 200])
def test_refuses_exponent_bombs_at_once(bomb):
    with pytest.raises(ValueError, match="unable to parse quantity's suffix"):
        quantity.canonical(bomb)


def test_caps_what_no_suffix_can_tell():
    assert quantity.canonical(10**300) == "1000000000000000000E"


def test_rounds_millis_and_units_away_from_zero():
    assert [quantity.millis(text) for text in ("0.5", "1u", "-1u", "2", "100m")] == [500, 1, -1, 2000, 100]
    assert [quantity.value(text) for text in ("1Ki", "1m", "-1m", "1.5", "7")] == [1024, 1, -1, 2, 7]


def test_keeps_integer_readings_within_64_bits():
    assert quantity.value("9e30") == MAX_INT64
    assert quantity.millis("-9e30") == -MAX_INT64 - 1


def test_a_sum_keeps_the_notation_of_its_first_nonzero_term():
    binary, decimal, nothing = (Quantity.parse(text) for text in ("1Gi", "1G", "0"))

    assert (binary + decimal).canonical() == "2073741824"
    assert (nothing + binary).canonical() == "1Gi"
    assert (nothing - binary).canonical() == "-1Gi"
    assert (-binary).canonical() == "-1Gi"


def test_a_view_reads_and_writes_quantities():
    class Resources(View):
        requests: dict[str, Quantity] = {}

    resources = Resources.read(b'{"requests": {"cpu": "0.5", "pods": 10}}')

    assert resources.requests == {"cpu": Quantity.from_millis(500), "pods": Quantity.from_value(10)}
    assert resources.to_wire() == {"requests": {"cpu": "500m", "pods": "10"}}


def test_equal_amounts_are_equal_in_any_notation():
    assert Quantity.parse("1Ki") == Quantity.parse("1024") == Quantity.parse("1.024e3")
    assert len({Quantity.parse("1Ki"), Quantity.parse("1024")}) == 1
    assert sorted([Quantity.parse("1Gi"), Quantity.parse("1G"), Quantity.parse("1m")])[0] == Quantity.parse("1m")


def exact(text: str) -> Fraction:
    number = text.rstrip("inumkKMGTPE") if "e" not in text and "E-" not in text else text
    suffix = text[len(number) :]
    if suffix.endswith("i"):
        return Fraction(number) * 1024 ** ("KMGTPE".index(suffix[0]) + 1)
    return Fraction(number) * Fraction(10) ** DECIMAL[suffix]


@given(texts)
def test_the_amount_is_exact_up_to_a_billionth(text):
    amount = exact(text)

    nanos = Quantity.parse(text).nanos

    if abs(amount) <= MAX_INT64:
        assert 0 <= abs(nanos) - abs(amount * 10**9) < 1


@given(texts)
def test_printing_loses_nothing_and_is_stable(text):
    printed = Quantity.parse(text).canonical()

    assert Quantity.parse(printed) == Quantity.parse(text)
    # 687.5Ki is printed as 704000, which is not binary any more: the next one prints 704k.
    again = Quantity.parse(printed).canonical()
    assert Quantity.parse(again).canonical() == again
    assert "." not in printed


@given(texts, texts)
def test_sums_and_differences_are_exact(left, right):
    a, b = Quantity.parse(left), Quantity.parse(right)

    assert (a + b) - b == a
    assert a - b == -(b - a)
    assert (a < b) == ((a - b).nanos < 0)


@given(st.text(max_size=20))
def test_any_text_is_a_quantity_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert Quantity.parse(text).canonical()

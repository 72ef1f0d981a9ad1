"""Numbers that may be given as a percentage of something. Kubernetes: intstr."""

from __future__ import annotations


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """A number, or a percentage of `total`; a text that is no percentage counts as 0.

    >>> scaled(3, 10, round_up=True), scaled("25%", 10, round_up=True), scaled("25%", 10, round_up=False)
    (3, 3, 2)
    """
    if isinstance(value, int):
        return value
    digits = value.removesuffix("%")
    percent = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else 0
    return (percent * total + 99) // 100 if round_up else percent * total // 100

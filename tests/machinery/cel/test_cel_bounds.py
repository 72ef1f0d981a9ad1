"""Hostile expressions end in bounded time and memory, honest ones are let through."""

import time

import pytest

from wherry.machinery.cel import Environment, Failure, can_match, matches

environment = Environment(self="dyn")
LARGE = {"list": list(range(9_000)), "text": "a" * 1_000_000}


def doubled(times: int) -> str:
    expression = "'aaaaaaaaaaaaaaaaaaaa'"
    for number in range(times):
        expression = f"cel.bind(v{number}, {expression}, v{number} + v{number})"
    return f"size({expression})"


def run(expression: str, value: object) -> object:
    program = environment.compile(expression)
    return program if isinstance(program, Failure) else program.evaluate(self=value)


@pytest.mark.parametrize(
    "expression",
    [
        doubled(28),
        "self.list.all(x, self.list.all(y, self.list.all(z, x + y + z > 0)))",
        "self.list.all(x, self.list.sum() > 0)",
        "self.list.map(x, self.text + 'b').size()",
        "self.list.all(x, self.text.contains('b'))",
        "self.text.matches('(a+)+$') && self.text.findAll('(a*)*b').size() > 0 && self.list.map(x, self.text) == []",
        "(" * 5_000 + "1" + ")" * 5_000,
        "+".join(["1"] * 8_000),
        "x" * 20_000,
    ],
)
def test_a_bomb_is_refused_quickly(expression):
    begun = time.process_time()
    answer = run(expression, LARGE)

    assert isinstance(answer, Failure) or answer is False
    assert time.process_time() - begun < 1


def test_an_honest_rule_on_a_large_object_is_evaluated():
    value = {"list": [{"name": f"name-{number}"} for number in range(2_000)], "prefix": "p-"}

    assert run("self.list.map(x, self.prefix + x.name).all(n, n.startsWith('p-'))", value) is True


def test_patterns_are_linear_whatever_they_say():
    begun = time.process_time()

    assert not matches("a" * 5_000 + "b", "^(a+)+$")
    assert time.process_time() - begun < 1
    assert (can_match("[a-z]+"), can_match("(")) == ("", "invalid regular expression: missing ): (")

"""Expressions give Kubernetes' answers and Kubernetes' words for what is wrong with them."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from wherry.machinery.cel import Environment, Failure

OBJECT = {
    "replicas": 3,
    "names": ["a", "b", "c"],
    "sizes": [3, 1, 2],
    "text": "abcd",
    "ip": "10.1.2.3",
    "memory": "1Gi",
    "unset": None,
    "limits": {"cpu": 1, "gpu": 2},
}
environment = Environment(object="dyn", count="int")


def evaluate(expression: str) -> object:
    program = environment.compile(expression)
    return program if isinstance(program, Failure) else program.evaluate(object=OBJECT, count=3)


@pytest.mark.parametrize(
    "expression",
    [
        "object.replicas == count && !has(object.missing)",
        "object.?missing.orValue('x') == 'x' && object.unset == null",
        "object.names.all(n, n.matches('^[a-c]$')) && object.limits.all(k, v, v > 0)",
        "object.names.map(n, n + '!').join(',') == 'a!,b!,c!'",
        "quantity(object.memory).isGreaterThan(quantity('500Mi')) && quantity('1') == quantity('1000m')",
        "quantity('1Gi').add(quantity('1Gi')).compareTo(quantity('2Gi')) == 0 && !isQuantity('much')",
        "cidr('10.0.0.0/8').containsIP(object.ip) && ip(object.ip).family() == 4 && !isIP('x')",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && cidr('10.1.2.3/8').masked().prefixLength() == 8",
        "url('https://user@example.com:80/a?b=c').getHost() == 'example.com:80' && isURL('/x') && !isURL('x')",
        "object.text.find('b.') == 'bc' && object.text.findAll('(a)|[(]|(?P<n>c)') == ['a', 'c']",
        "object.sizes.sum() == 6 && object.sizes.min() == 1 && object.sizes.max() == 3 && !object.sizes.isSorted()",
        "object.names.indexOf('b') == 1 && [1, 2, 1].lastIndexOf(1) == 2",
        "semver('1.2.3-rc.1').isLessThan(semver('1.2.3')) && !isSemver('1.2')",
        "sets.contains(object.sizes, [1]) && object.text.upperAscii().split('B') == ['A', 'CD']",
        "cel.bind(x, object.replicas, x + x) == 6 && 'a'.lowerAscii().charAt(0) == 'a'",
        "duration('1h') > duration('30m') && timestamp('2026-11-23T00:00:00Z').getFullYear() == 2026",
    ],
)
def test_an_expression_holds(expression):
    assert evaluate(expression) is True


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("object.missing > 1", "no such key: missing"),
        ("object.names[7]", "index out of bounds: 7"),
        ("1 / (count - 3)", "division by zero"),
        ("object.text + 1", "no such overload"),
        ("quantity('much')", "quantities must match the regular expression"),
        ("'x'.matches('(')", "invalid regular expression: missing ): ("),
    ],
)
def test_what_goes_wrong_at_run_time_is_a_value(expression, message):
    failure = evaluate(expression)

    assert isinstance(failure, Failure)
    assert failure.message.startswith(message)


def test_an_expression_that_cannot_be_compiled_says_where_and_why():
    failure = evaluate("count + 'a'")

    assert failure == Failure(
        "compilation failed: ERROR: <input>:1:7: found no matching overload for '_+_' applied to '(int, string)'\n"
        " | count + 'a'\n"
        " | ......^"
    )


def test_a_program_knows_its_type_and_is_compiled_once():
    program = environment.compile("object.names.size() + 1")

    assert program is environment.compile("object.names.size() + 1")
    assert program.result_type == "int"


def test_functions_of_a_caller_are_called_with_plain_values():
    from wherry.machinery.cel.library.base import Function

    greeting = Function("greet", "string", ("string",), lambda name: f"hello {name}", is_member=False)
    program = Environment((greeting,), who="string").compile("greet(who)")

    assert program.evaluate(who="world") == "hello world"


def test_threads_that_ask_at_once_get_the_answers_that_one_gets():
    shared = Environment(self="dyn")
    rule = "self.items.all(i, i.v == self.n && quantity(i.q).isLessThan(quantity('2Gi')))"

    def answers(number: int) -> set[object]:
        program = shared.compile(rule)
        assert not isinstance(program, Failure)
        items = [{"v": number, "q": "1Gi"}] * 20
        return {program.evaluate(self={"n": n, "items": items}) is (n == number) for n in (number, -1) * 5}

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as threads:
            assert list(threads.map(answers, range(6))) == [{True}] * 6
    finally:
        sys.setswitchinterval(before)

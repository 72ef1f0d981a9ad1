"""Compiling and evaluating. See the package.

Any thread may do both at the same time, also with the same program: the engine changes nothing of an environment or a
program once they are made (cel-cpp calls them thread-compatible), and each evaluation has memory of its own.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from wherry.machinery.cel import regexes
from wherry.machinery.cel.bounds import LARGEST, UNIT, Bounds, measure
from wherry.machinery.cel.library import lists, networks, quantities, versions
from wherry.machinery.cel.library.base import OPAQUE, Function, pool
from wherry.machinery.cel.regexes import can_match, matches
from wherry.machinery.cel.syntax import Node, tree

__all__ = ["Environment", "Failure", "Program", "can_match", "matches"]

TOO_COSTLY = "operation cancelled: actual cost limit exceeded"
# Kubernetes: the longest expression of a CustomResourceDefinition or policy that is accepted anywhere.
LONGEST_EXPRESSION = 16 * 1024
KEPT_PROGRAMS = 4096

_EXTENSIONS = ("bindings", "encoders", "math", "optional", "sets", "strings", "two-var-comprehensions")
_REGEXES = [
    Function("find", "string", ("string", "string"), regexes.find),
    Function("findAll", "list<string>", ("string", "string"), regexes.find_all),
    Function("findAll", "list<string>", ("string", "string", "int"), regexes.find_some),
]
_FUNCTIONS = [
    *quantities.FUNCTIONS,
    *networks.FUNCTIONS,
    *lists.FUNCTIONS,
    *versions.FUNCTIONS,
    *_REGEXES,
]
_IN_PYTHON = frozenset(function.name for function in _FUNCTIONS)

# The engine's words for what goes wrong at run time, and Kubernetes'.
_WORDS = (
    (re.compile(r'Key not found in map : "?(.*?)"?$', re.DOTALL), r"no such key: \1"),
    (re.compile(r"Index error: index=(-?\d+) size=\d+"), r"index out of bounds: \1"),
    (re.compile(r"No matching overloads? found.*", re.DOTALL), "no such overload"),
    (re.compile(r"divide by zero"), "division by zero"),
    (re.compile(r"Iteration budget exceeded.*", re.DOTALL), TOO_COSTLY),
)


class Failure(NamedTuple):
    """Why an expression could not be compiled, or an evaluation has no result."""

    message: str


class Environment:
    """The variables that expressions may use, name to type: `dyn`, `int`, `string`, `list<string>` …"""

    def __init__(self, functions: tuple[Function, ...] = (), /, **variables: str) -> None:
        self.variables = variables
        self._functions = functions
        self._engine: Any = None
        self._programs: OrderedDict[str, Program | Failure] = OrderedDict()

    def compile(self, expression: str) -> Program | Failure:
        """The program of an expression; the same one for the same text."""
        program = self._programs.get(expression)
        if program is None:
            program = self._programs[expression] = self._compile(expression)
            if len(self._programs) > KEPT_PROGRAMS:
                self._programs.popitem(last=False)
        return program

    def _compile(self, expression: str) -> Program | Failure:
        if not expression.strip():
            return Failure("compilation failed: expression must not be empty")
        if len(expression) > LONGEST_EXPRESSION:
            return Failure(f"compilation failed: expression is longer than {LONGEST_EXPRESSION} characters")
        if self._engine is None:
            self._engine = _engine(self.variables, self._functions)
        try:
            compiled = self._engine.compile(expression)
            syntax = tree(compiled.serialize())
        except (RuntimeError, ValueError, RecursionError) as error:
            return Failure("compilation failed: " + _compile_message(str(error)))
        python = _IN_PYTHON | {function.name for function in self._functions}
        if _bounds(syntax, UNIT, python).is_exceeded:
            return Failure("compilation failed: the expression costs too much, whatever it is given")
        return Program(expression, compiled, syntax, python)


class Program:
    """A compiled expression. `result_type` is what it gives, in CEL's words; `syntax` its tree."""

    def __init__(self, expression: str, compiled: Any, syntax: Node, python: frozenset[str]) -> None:
        self.expression, self.syntax = expression, syntax
        self.result_type: str = compiled.return_type().name().lower()
        self._compiled, self._python = compiled, python
        # Nearly no expression can grow out of bounds; the inputs of the others are measured.
        self._is_risky = _bounds(syntax, LARGEST, python).is_exceeded

    def evaluate(self, /, **values: Any) -> Any:
        """The result with these variables, as plain JSON-like data, or a `Failure`."""
        if self._is_risky and _bounds(self.syntax, measure(list(values.values())), self._python).is_exceeded:
            return Failure(TOO_COSTLY)
        try:
            result = self._compiled.eval(data=values)
            value = result.plain_value()
        except TypeError:
            return Failure("the expression gives a value without a JSON form")
        except (RuntimeError, MemoryError, OverflowError, ValueError) as error:
            return Failure(_run_message(str(error)))
        if isinstance(value, str) and result.type().name() == "ERROR":
            return Failure(_run_message(value))
        return value


def _bounds(syntax: Node, inputs: Any, python: frozenset[str]) -> Bounds:
    bounds = Bounds(inputs, python)
    bounds.of(syntax, {})
    return bounds


def _engine(variables: dict[str, str], functions: tuple[Function, ...]) -> Any:
    from cel_expr_python import cel

    config = cel.NewEnvConfigFromYaml("extensions:\n" + "".join(f"- name: {name}\n" for name in _EXTENSIONS))
    declared = {name: _type(text) for name, text in variables.items()}
    extensions = [_extension("kubernetes", tuple(_FUNCTIONS))]
    if functions:
        extensions.append(_extension("ours", functions))
    return cel.NewEnv(pool(), config=config, variables=declared, extensions=extensions)


@cache
def _extension(name: str, functions: tuple[Function, ...]) -> Any:
    from cel_expr_python import cel

    # At run time the engine tells overloads apart by kind only, and every opaque type is a message to it.
    families: dict[tuple[Any, ...], list[Function]] = {}
    for function in functions:
        families.setdefault(_family(function), []).append(function)
    overloads: dict[str, list[Any]] = {}
    for number, family in enumerate(families.values()):
        first = family[0]
        places = zip(*(function.parameters for function in family), strict=True)
        overload = cel.Overload(
            f"{name}_{number}",
            return_type=_type(first.result),
            parameters=[_type(types[0] if len(set(types)) == 1 else "dyn") for types in places],
            is_member=first.is_member and bool(first.parameters),
            impl=first.call if len(family) == 1 else _chosen(family),
        )
        overloads.setdefault(first.name, []).append(overload)
    return cel.CelExtension(name, [cel.FunctionDecl(each, found) for each, found in overloads.items()])


def _family(function: Function) -> tuple[Any, ...]:
    kinds = ("message" if parameter in OPAQUE else parameter.partition("<")[0] for parameter in function.parameters)
    return function.name, function.is_member, *kinds


def _chosen(family: list[Function]) -> Callable[..., Any]:
    """The overload whose opaque types are those of the arguments."""

    def call(*arguments: Any) -> Any:
        for function in family:
            if all(
                parameter not in OPAQUE or _opaque_type(argument) == parameter
                for parameter, argument in zip(function.parameters, arguments, strict=True)
            ):
                return function.call(*arguments)
        raise ValueError("no such overload")

    return call


def _opaque_type(value: Any) -> str:
    descriptor = getattr(value, "DESCRIPTOR", None)
    return str(descriptor.full_name) if descriptor is not None else ""


def _type(text: str) -> Any:
    from cel_expr_python import cel

    return cel.Type(text)


def _compile_message(text: str) -> str:
    """The engine's complaint without its codes."""
    return re.sub(r" ?\[[A-Z_]+\]$", "", re.sub(r"^[A-Z_]+: ", "", text))


def _run_message(text: str) -> str:
    text = _compile_message(text)
    for pattern, words in _WORDS:
        text, count = pattern.subn(words, text, count=1)
        if count:
            break
    return text

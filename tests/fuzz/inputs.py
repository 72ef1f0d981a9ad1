"""Inputs that strangers might send: valid ones, changed a little or a lot, and some put together by a grammar.

The same chance makes the same inputs.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import orjson

Grammar = Callable[[Random], bytes]

# How many inputs share a seed, and how many of them start from words put together without sense.
BLOCK = 500
_SENTENCES = 25
# As many inputs are made by the grammar, where there is one, and not changed.
_GRAMMAR_MADE = 0.5
# One in so many repeats a part of itself until it is as long as may be: that finds what takes quadratic time.
_LONG_ONE_IN = 400

_WORDS = re.compile(rb"[A-Za-z]+|[0-9]+|\s+|[^\sA-Za-z0-9]")
ODD = (
    *(b"", b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", "é".encode(), "١".encode(), "\u2028".encode(), b"\\", b'"', b"'"),
    *(b"-", b"+", b".", b"..", b"/", b"//", b"~", b"%", b"%00", b"%zz", b"\r\n", b"\n", b"\t", b" ", b",", b":", b"="),
    *(
        b"-1",
        b"0",
        b"1e9",
        b"9" * 19,
        b"9" * 40,
        b"1e-999",
        b"1e999999999",
        b"NaN",
        b"Infinity",
        b"18446744073709551616",
    ),
    *(b"null", b"true", b"{}", b"[]", b"[" * 40, b"{" * 40, b"(" * 40, b"!" * 40, b"a" * 64, b"a" * 300, b"\\u0000"),
    *(b"\\ud800", b"$patch", b"$retainKeys", b"metadata", b"__class__", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
)


def words_of(corpus: Sequence[bytes]) -> list[bytes]:
    """What a corpus is made of, each once."""
    return sorted({word for text in corpus for word in _WORDS.findall(text)})


class Inputs:
    """A stream of inputs for one parser."""

    def __init__(self, corpus: Sequence[bytes], grammar: Grammar | None, longest: int, chance: Random) -> None:
        self._chance, self._longest = chance, longest
        self._words = [*words_of(corpus), *ODD]
        self._grammar = grammar
        self._parents = [*corpus, *(self._sentence() for _ in range(_SENTENCES))]
        if grammar is not None:
            self._parents += [grammar(chance) for _ in range(_SENTENCES)]

    def __iter__(self) -> Iterator[bytes]:
        pick, parents = self._pick, self._parents
        while True:
            if self._grammar is not None and self._chance.random() < _GRAMMAR_MADE:
                yield self._grammar(self._chance)[: self._longest]
                continue
            text = pick(parents)
            for _ in range(1 + int(self._chance.random() ** 3 * 5)):
                text = pick(_CHANGES)(self, text)
            if self._chance.random() * _LONG_ONE_IN < 1:
                text = self._repeated(text)
            yield text[: self._longest]

    def _pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self._chance.random() * len(choices))]

    def _sentence(self) -> bytes:
        return b"".join(self._pick(self._words) for _ in range(1 + int(self._chance.random() * 12)))

    def _span(self, text: bytes, most: int = 24) -> tuple[int, int]:
        start = int(self._chance.random() * (len(text) + 1))
        return start, start + int(self._chance.random() ** 2 * most)

    def _repeated(self, text: bytes) -> bytes:
        start, end = self._span(text)
        piece = text[start:end] or self._pick(self._words) or b"\0"
        return text[:start] + piece * (self._longest // len(piece)) + text[end:]

    def _insert(self, text: bytes) -> bytes:
        at, _ = self._span(text)
        return text[:at] + self._pick(self._words) + text[at:]

    def _replace(self, text: bytes) -> bytes:
        start, end = self._span(text)
        return text[:start] + self._pick(self._words) + text[end:]

    def _replace_word(self, text: bytes) -> bytes:
        at, _ = self._span(text)
        found = _WORDS.search(text, at)
        return text if found is None else text[: found.start()] + self._pick(self._words) + text[found.end() :]

    def _delete(self, text: bytes) -> bytes:
        start, end = self._span(text)
        return text[:start] + text[end:]

    def _double(self, text: bytes) -> bytes:
        start, end = self._span(text, 200)
        return text[:end] + text[start:end] * int(1 + self._chance.random() ** 4 * 8) + text[end:]

    def _flip(self, text: bytes) -> bytes:
        at, _ = self._span(text)
        return text[:at] + bytes([int(self._chance.random() * 256)]) + text[at + 1 :]

    def _cross(self, text: bytes) -> bytes:
        start, _ = self._span(text)
        other = self._pick(self._parents)
        end, _ = self._span(other)
        return text[:start] + other[end:]


_CHANGES = (
    *(Inputs._insert, Inputs._replace, Inputs._replace_word, Inputs._replace_word, Inputs._delete),
    *(Inputs._double, Inputs._flip, Inputs._cross),
)


def json_grammar(documents: Sequence[bytes], fields: Sequence[str], values: Sequence[Any]) -> Grammar:
    """JSON documents in which some values are others, or gone, and some fields have come."""
    odd = [text.decode("latin-1") for text in ODD] + [0, -1, 2**31, 2**63, 1e308, 0.1, True, None, [], {}]
    leaves = [*values, *odd]
    alike = {kind: [leaf for leaf in leaves if type(leaf) is kind] for kind in (str, int)}

    def value(chance: Random, depth: int) -> Any:
        shape = chance.random() * (1 + depth)
        if shape < 1:
            leaf = leaves[int(chance.random() * len(leaves))]
            return copy.deepcopy(leaf) if isinstance(leaf, dict | list) else leaf
        items = range(int(chance.random() * 4))
        if shape < 1 + depth / 4:
            return [value(chance, depth - 1) for _ in items]
        return {fields[int(chance.random() * len(fields))]: value(chance, depth - 1) for _ in items}

    def change(node: Any, chance: Random) -> None:
        key: Any = ""
        if isinstance(node, dict):
            keys = [*node, fields[int(chance.random() * len(fields))]]
            key = keys[int(chance.random() * len(keys))]
        elif isinstance(node, list):
            key = int(chance.random() * (len(node) + 1))
            if key == len(node):
                node.append(None)
        child = node.get(key) if isinstance(node, dict) else node[key]
        if child and isinstance(child, dict | list) and chance.random() < 0.85:
            change(child, chance)
        elif type(child) in alike and chance.random() < 0.7:
            node[key] = alike[type(child)][int(chance.random() * len(alike[type(child)]))]
        elif chance.random() < 0.2:
            node.pop(key, None) if isinstance(node, dict) else node.pop(key)
        else:
            node[key] = value(chance, int(chance.random() ** 2 * 4))

    def document(chance: Random) -> bytes:
        made = orjson.loads(documents[int(chance.random() * len(documents))])
        for _ in range(1 + int(chance.random() ** 2 * 5)):
            change(made, chance)
        return orjson.dumps(made)

    return document


def phrase_grammar(rules: dict[str, tuple[str, ...]]) -> Grammar:
    """Texts of a grammar: in each alternative, words that are rules are replaced by one of their alternatives. The
    first rule is the whole; the first alternative of each must lead to an end.
    """
    top = next(iter(rules))

    def made(rule: str, chance: Random, depth: int) -> str:
        chosen = chance.choice(rules[rule]) if depth > 0 else rules[rule][0]
        return "".join(made(word, chance, depth - 1) if word in rules else word for word in chosen.split("·"))

    return lambda chance: made(top, chance, 7).encode()

"""The table of parsers that are fuzzed: name, function, valid inputs, and how many of each thousand inputs it gets."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import dns.message
import orjson
import yaml

from apiserver.writing.applying import APPLY_PATCH
from apiserver.writing.patch_body import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from tests.fuzz import grammars, parsers
from tests.fuzz.grammars import lines
from tests.fuzz.inputs import Grammar
from wherry.machinery.spdy import Spdy

_RECORDED = json.loads((Path(__file__).parents[1] / "machinery" / "kubectl_bodies.json").read_text())
_BODIES = [base64.b64decode(recorded["body"]) for recorded in _RECORDED]
_POD = orjson.dumps(grammars.POD)


class Target(NamedTuple):
    """A parser. `share` is how many blocks of inputs it gets in a round; `longest` is in bytes."""

    name: str
    run: Callable[[bytes], None]
    corpus: Sequence[bytes]
    share: int = 4
    grammar: Grammar | None = None
    longest: int = 16_384


TARGETS = {
    target.name: target
    for target in (
        Target("quantity", parsers.quantities, lines(grammars.QUANTITIES), 12, grammars.QUANTITY),
        Target("label-selector", parsers.label_selectors, lines(grammars.LABEL_SELECTORS), 8, grammars.LABEL_SELECTOR),
        Target("field-selector", parsers.field_selectors, lines(grammars.FIELD_SELECTORS), 8),
        Target("query", parsers.queries, lines(grammars.QUERIES), 8),
        Target("accept", parsers.accept_headers, lines(grammars.ACCEPTS), 6),
        Target("json-patch", parsers.patches(JSON_PATCH), lines(grammars.JSON_PATCHES), 2, grammars.JSON_PATCH),
        Target("merge-patch", parsers.patches(MERGE_PATCH), lines(grammars.PATCHES), 2, grammars.PATCH),
        Target("strategic-patch", parsers.patches(STRATEGIC_PATCH), lines(grammars.PATCHES), 2, grammars.PATCH),
        Target("apply-patch", parsers.patches(APPLY_PATCH), lines(grammars.APPLIED), 1, grammars.CONFIGURATION),
        Target("json-body", parsers.bodies("application/json"), [_POD], 3, grammars.OBJECT),
        Target("yaml-body", parsers.bodies("application/yaml"), [yaml.safe_dump(grammars.POD).encode()], 1),
        Target("protobuf-body", parsers.bodies("application/vnd.kubernetes.protobuf"), _BODIES, 3),
        Target("protobuf-delete", parsers.deletions, _BODIES, 4),
        Target("managed-fields", parsers.managed_fields, lines(grammars.METADATA), 1, grammars.OWNED),
        Target("cel", parsers.expressions, lines(grammars.EXPRESSIONS), 1, grammars.EXPRESSION, 4096),
        Target("time", parsers.times, lines(grammars.TIMES), 6),
        Target("duration", parsers.durations, lines(grammars.DURATIONS), 8),
        Target("schedule", parsers.schedules, lines(grammars.SCHEDULES), 4, grammars.SCHEDULE),
        Target("names", parsers.name_rules, lines(grammars.NAMES), 4),
        Target("formats", parsers.formats, lines(grammars.FORMATTED), 2),
        Target("jsonpath", parsers.json_paths, lines(grammars.PATHS), 6),
        Target("indexes", parsers.indexes, lines("1,3-5,7\n0\n0-999\n1-1"), 6),
        Target("certificate", parsers.certificate_requests, [grammars.CERTIFICATE_REQUEST], 2),
        Target("spdy", parsers.spdy_frames, [Spdy().open(1, {"streamtype": "stdin"}), Spdy().data(1, b"hello")], 4),
        Target("channels", parsers.channel_messages, [b"\0hello", b'\4{"Width":80,"Height":24}', b"\xff\1"], 6),
        Target(
            "dns",
            parsers.dns_packets,
            [dns.message.make_query(name, "A", id=7).to_wire() for name in grammars.HOSTS],
            2,
        ),
        Target("http", parsers.connections, grammars.CONNECTIONS, 2, grammars.connection, 8192),
    )
}


def chance_of(seed: int, name: str, block: int) -> int:
    """The seed of a block of inputs."""
    return zlib.crc32(f"{seed} {name} {block}".encode())

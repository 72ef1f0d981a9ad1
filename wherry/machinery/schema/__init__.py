"""Kubernetes' published schema as data (fields, types, merge keys), and the one walker over it.

`definitions.json` holds every stable kind of Kubernetes 1.37 (written by `scripts/extract_schema.py`),
`own_definitions.json` those of `scheduling.wherry.dev` (written by hand); a CRD's
structural schema builds the same `Schema` nodes. Structural validation, unknown and duplicate fields, pruning,
defaulting, strategic merge, server-side apply, OpenAPI and `kubectl explain` all read them, so built-in and custom
kinds go one way.

Belongs here: what follows from a schema alone. Never belongs here: a rule of one kind (its file under `wherry/api`
has those), HTTP.
"""

from wherry.machinery.schema.defaults import Defaults, defaults
from wherry.machinery.schema.definitions import Schema, UnknownKind, definition, kinds, schema_for
from wherry.machinery.schema.duplicates import duplicate_fields
from wherry.machinery.schema.walker import TypeMismatch, Walked, settled_in, walk

__all__ = [
    "Defaults",
    "Schema",
    "TypeMismatch",
    "UnknownKind",
    "Walked",
    "defaults",
    "definition",
    "duplicate_fields",
    "kinds",
    "schema_for",
    "settled_in",
    "walk",
]

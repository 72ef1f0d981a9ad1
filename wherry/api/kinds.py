"""Importing this module registers every built-in kind.

Every module below `wherry.api` that declares a kind is found by its place in the package: to add one, add its file.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import wherry.api
from wherry.machinery.resource import all_kinds


@cache
def load() -> None:
    """Import every module of the package."""
    for module in pkgutil.walk_packages(wherry.api.__path__, "wherry.api."):
        if module.name != __name__:
            importlib.import_module(module.name)


def prepare() -> None:
    """Have every kind ready to be read, which otherwise the first object of each takes time for."""
    for kind in all_kinds():
        kind.prepare()


load()

"""Imports point down only, and the five components meet over HTTP, never by import."""

from source import Module, imports, modules

# Lowest first; rooms on one line never import each other.
LAYERS = (
    ("wherry.machinery",),
    ("wherry.volumes",),
    ("wherry.api",),
    ("wherry.client",),
    ("apiserver", "scheduler", "controllers", "kubelet", "kubeproxy"),
    ("wherry.sim",),
    ("wherry.cluster",),
    ("wherry.cli", "wherry.testing"),
)
ROOMS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def room_of(name: str) -> str | None:
    return next((room for room in ROOMS if name == room or name.startswith(room + ".")), None)


def wrong_imports(module: Module) -> list[str]:
    here = room_of(module.name)
    wrong = []
    for line, name in imports(module):
        there = room_of(name)
        if here and there and here != there and ROOMS[there] >= ROOMS[here]:
            wrong.append(f"{module.place}:{line} {here} imports {there}")
    return wrong


def test_imports_point_down_only():
    wrong = [complaint for module in modules() for complaint in wrong_imports(module)]

    assert wrong == []


def test_every_module_lives_in_a_room():
    homeless = [module.place for module in modules() if room_of(module.name) is None and module.name != "wherry"]

    assert homeless == []


def test_an_upward_import_would_be_noticed():
    import ast
    from pathlib import Path

    from source import ROOT

    text = "from apiserver.storage import open_store\n"
    module = Module("wherry.client.http", Path(ROOT / "wherry/client/http.py"), text, ast.parse(text))

    assert wrong_imports(module) != []

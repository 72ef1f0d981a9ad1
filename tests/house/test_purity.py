"""Plans are pure: what decides imports no clock, no chance, no loop, no log and no network."""

from source import Module, imports, modules

FORBIDDEN = ("asyncio", "time", "random", "logging", "structlog", "aiohttp", "socket", "subprocess", "threading")
# The shells of the controller manager, which observe and act.
SHELLS = ("controllers.__main__", "controllers.shells")


def is_plan(module: Module) -> bool:
    in_controllers = module.name.startswith("controllers.") and not module.name.startswith(SHELLS)
    return in_controllers or module.name.startswith("scheduler.plugins.") or module.path.name == "plan.py"


def test_plans_import_nothing_that_acts_or_waits():
    impure = [
        f"{module.place}:{line} imports {name}"
        for module in modules()
        if is_plan(module)
        for line, name in imports(module)
        if name.split(".")[0] in FORBIDDEN
    ]

    assert impure == []


def test_plans_are_not_coroutines():
    import ast

    waiting = [
        f"{module.place}:{node.lineno}"
        for module in modules()
        if is_plan(module)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await)
    ]

    assert waiting == []

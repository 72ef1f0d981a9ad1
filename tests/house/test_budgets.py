"""Hard budgets: above them a file, a function or a folder is no longer read in one sitting."""

from collections import Counter

from source import classes, functions, modules

FILE_LINES = 400
FUNCTION_LINES = 50
PARAMETERS = 6
FOLDER_MODULES = 20
CONTROLLER_LINES = 150
PLUGIN_LINES = 80


def lines_of(node) -> int:
    return node.end_lineno - node.lineno + 1


def test_no_file_is_longer_than_the_budget():
    sizes = [(module.place, module.text.count("\n")) for module in modules()]
    long = [f"{place}: {size}" for place, size in sizes if size > FILE_LINES]

    assert long == []


def test_no_function_is_longer_than_the_budget():
    long = [
        f"{module.place}:{node.lineno} {node.name}: {lines_of(node)}"
        for module in modules()
        for node in functions(module)
        if lines_of(node) > FUNCTION_LINES
    ]

    assert long == []


def parameters_of(node) -> int:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([argument for argument in arguments if argument.arg not in ("self", "cls")])


def is_command(node) -> bool:
    """A click command has a parameter for each of its options."""
    return any("command" in decorator or "option" in decorator for decorator in map(_dotted, node.decorator_list))


def _dotted(node) -> str:
    import ast

    return ast.unparse(node)


def test_no_function_takes_more_parameters_than_the_budget():
    wide = [
        f"{module.place}:{node.lineno} {node.name}: {parameters_of(node)}"
        for module in modules()
        for node in functions(module)
        if parameters_of(node) > PARAMETERS and not is_command(node) and node.name not in ALLOWED_WIDE
    ]

    assert wide == []


# Signatures that mirror something published: a protocol of ours with its own page, or a library's.
ALLOWED_WIDE = ("patch", "request")


def test_no_folder_holds_more_modules_than_the_budget():
    folders = Counter(str(module.path.parent) for module in modules() if not module.is_package)
    full = [f"{folder}: {count}" for folder, count in folders.items() if count > FOLDER_MODULES]

    assert full == []


def test_controllers_and_plugins_are_a_page():
    long = [
        f"{module.place}: {module.text.count(chr(10))}"
        for module in modules()
        if (module.name.startswith("controllers.") and module.text.count("\n") > CONTROLLER_LINES)
        or (module.name.startswith("scheduler.plugins.") and module.text.count("\n") > PLUGIN_LINES)
    ]

    assert long == []


def test_every_module_and_public_class_says_what_it_is():
    import ast

    silent = [module.place for module in modules() if not ast.get_docstring(module.tree)]
    silent += [
        f"{module.place}:{node.lineno} {node.name}"
        for module in modules()
        for node in classes(module)
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]

    assert silent == []

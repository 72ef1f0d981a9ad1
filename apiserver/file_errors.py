"""Files that an operator wrote, and what is wrong with them: the field, what was seen, what is allowed; in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

_KINDS = {"tuple_type": "a list", "string_type": "text", "bool_type": "true or false", "bool_parsing": "true or false"}
_SEEN = {type(None): "nothing", dict: "a mapping", list: "a list", str: "text", bool: "a boolean"}


Model = TypeVar("Model", bound=BaseModel)


class FileProblem(Exception):
    """What is wrong with a file, in one line that does not name it."""


def read_model(file: Path, model: type[Model]) -> Model:
    """What a YAML file says; raises FileProblem."""
    try:
        return model.model_validate(yaml.safe_load(file.read_text()))
    except OSError as error:
        raise FileProblem(error.strerror) from None
    except yaml.YAMLError as error:
        raise FileProblem(yaml_problem(error)) from None
    except ValidationError as error:
        raise FileProblem(problems_of(error, model)) from None
    except UnicodeDecodeError:
        raise FileProblem("it is not text in UTF-8") from None


def problems_of(error: ValidationError, model: type[BaseModel]) -> str:
    """What a model says of a file's content. Values are told of fields with a fixed choice only: others may be keys."""
    found = error.errors(include_url=False)
    # A list of which no item is right also counts as too short.
    inner = {each["loc"][:end] for each in found for end in range(len(each["loc"]))}
    listed = [each for each in found if each["type"] != "too_short" or each["loc"] not in inner]
    return "; ".join(f"{_path(each['loc'])}: {_said(each, model)}" for each in listed)


def yaml_problem(error: yaml.YAMLError) -> str:
    """Where a file is no YAML, without a word of what stands there."""
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: it is not YAML" if mark is not None else "it is not YAML"


def _path(location: tuple[int | str, ...]) -> str:
    """`rules[0].level`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.lstrip(".") or "the file"


def _said(problem: Any, model: type[BaseModel]) -> str:
    type_, context, seen = problem["type"], problem.get("ctx", {}), problem["input"]
    if type_ == "missing":
        return "it is missing"
    if type_ == "extra_forbidden":
        return f"there is no such field; expected one of {', '.join(_fields(model, problem['loc'][:-1]))}"
    if type_ == "literal_error":
        return f"{seen!r}: expected {context['expected']}"
    if type_ == "too_short":
        return f"it has {context['actual_length']} items, at least {context['min_length']} are expected"
    if type_ == "value_error":
        return str(context["error"])
    wanted = "a mapping" if type_.startswith("model") else _KINDS.get(type_)
    if wanted is None:
        return str(problem["msg"])
    return f"seen {_SEEN.get(type(seen), 'a number')}, expected {wanted}"


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The fields of the part of a file that is at a place."""
    for part in location:
        field = next((each for name, each in model.model_fields.items() if part in (name, each.alias)), None)
        found = _model_in(field.annotation) if field is not None else None
        model = found or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each))), None)

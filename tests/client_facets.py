"""An instance of every facet class of the installed OpenLineage client, with every field given."""

import typing
from importlib import import_module
from typing import Any

import attrs

from modeltrail_collector.judge import schema

RUN_ID = "0190a5d3-6f0f-7c5e-9d7b-0d6b8f4c2a11"
TEXTS = ("https://example.com/", "2026-11-20T08:30:00Z", RUN_ID)
SPECIFIED = [
    (entity, key, name)
    for entity, keys in schema.known().facets.items()
    for key, name in keys.items()
    if not name.startswith("modeltrail.")
]


def class_of(name: str) -> type:
    module, _, class_name = name.rpartition(".")
    return getattr(import_module(f"openlineage.client.generated.{module}"), class_name)


def instance(cls: type, depth: int = 0) -> Any:
    """An instance with every field given, by the client's own types and validators."""
    hints = typing.get_type_hints(cls)
    values = {
        field.alias: text(field) if field.validator else sample(hints[field.name], depth)
        for field in attrs.fields(cls)
        if field.init and not field.name.startswith("_") and not is_tag(field)
    }
    return cls(**values)


def is_tag(field) -> bool:
    return isinstance(field.default, str)


def text(field) -> str:
    """The first text that the client takes for a field with a format."""
    for candidate in TEXTS:
        try:
            field.validator(None, field, candidate)
        except ValueError:
            continue
        except AttributeError:  # dependentRequired asks for other fields: any text does
            return "text"
        return candidate
    raise AssertionError(field)


def sample(hint: Any, depth: int) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return arguments[0]
    if origin is list:
        return [sample(arguments[0], depth + 1)] if depth < 4 else []
    if origin is dict:
        return {"a key": sample(arguments[1], depth + 1)} if depth < 4 else {}
    if arguments:  # a union: nested ones end in the option that nests no further
        option = next(argument for argument in arguments if argument is not type(None))
        return sample(option, depth)
    if attrs.has(hint):
        return instance(hint, depth + 1)
    if hasattr(hint, "__members__"):
        return next(iter(hint))
    return {str: "text", int: 3, float: 1.5, bool: True, Any: {"any": [1]}}[hint]

"""The OpenLineage schema, derived from the installed openlineage-python.

No package ships OpenLineage's JSON schema, but the client's attrs classes are generated from it and keep
nearly all of it: types, enums, required fields, unions, recursion. Formats and `dependentRequired` live in
their validators, and are recovered by calling these with values that only one format allows. A newer client
thus brings its newer facets. What Python loses is put back by the small tables at the top.
"""

import enum
import importlib
import pkgutil
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

Schema = dict[str, Any]

# Facet keys are not in Python: the class name without its entity, in camelCase, but for these.
KEYS: Final = {
    "DatasetVersionDatasetFacet": "version",
    "DatasourceDatasetFacet": "dataSource",
    "InputSubsetInputDatasetFacet": "subset",
    "OutputSubsetOutputDatasetFacet": "subset",
    "ProcessingEngineRunFacet": "processing_engine",
    "SQLJobFacet": "sql",
}

# Constraints that the generated classes drop: definition -> path inside it -> what to add.
LOST: Final[Mapping[str, tuple[tuple[str, ...], Schema]]] = {
    "execution_parameters_run.ExecutionParameter": ((), {"additionalProperties": False}),
    "job_type_job.EmissionPattern": (("properties", "windowDuration"), {"minimum": 1}),
    # What tells the three kinds of event apart.
    "base.DatasetEvent": ((), {"not": {"required": ["job", "run"]}}),
    "base.JobEvent": ((), {"not": {"required": ["run"]}}),
}

# Each entity's facet base.
ENTITIES: Final = {
    "run": "RunFacet",
    "job": "JobFacet",
    "input_dataset": "InputDatasetFacet",
    "output_dataset": "OutputDatasetFacet",
    "dataset": "DatasetFacet",  # last: the two above end in it
}

# Required by the specification, defaulted by Python.
_FILLED_BY_CLIENT: Final = frozenset({"producer", "schemaURL", "_producer", "_schemaURL"})

# Each format with a value that no other format's validator allows, but for the URI's, which allows all three.
_PROBES: Final = {
    "uuid": "0190a5d3-6f0f-7c5e-9d7b-0d6b8f4c2a11",
    "date-time": "2020-12-17T03:00:00Z",
    "uri": "https://example.com/",
}
_BROKEN_URI: Final = "http://[broken"

_SCALARS: Final[Mapping[object, Schema]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    typing.Any: {},
}


class Derived(typing.NamedTuple):
    """What the client knows: definitions by `module.Class`, and per entity the definition of each key."""

    definitions: dict[str, Schema]
    facets: dict[str, dict[str, str]]


def derive() -> Derived:
    """Read the schema out of the installed client's classes. Slow: importing openlineage takes 0.7 s."""
    classes = list(_classes())
    definitions = {_name(cls): _definition(cls) for cls in classes}
    for name, (path, addition) in LOST.items():
        target = definitions[name]
        for step in path:
            target = target[step]
        target.update(addition)
    return Derived(definitions, _facets(classes))


def facet_key(class_name: str) -> str:
    """`ErrorMessageRunFacet` -> `errorMessage`."""
    if class_name in KEYS:
        return KEYS[class_name]
    # DataQualityAssertionsDatasetFacet is an InputDatasetFacet, so the base class does not tell the suffix.
    suffix = next((base for base in ENTITIES.values() if class_name.endswith(base)), "Facet")
    stem = class_name.removesuffix(suffix)
    return stem[:1].lower() + stem[1:]


def _classes() -> Iterator[type]:
    package = importlib.import_module("openlineage.client.generated")
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and attrs.has(value) and value.__module__ == module.__name__:
                yield value


def _facets(classes: list[type]) -> dict[str, dict[str, str]]:
    base = importlib.import_module("openlineage.client.generated.base")
    found: dict[str, dict[str, str]] = {}
    for entity, base_name in ENTITIES.items():
        root = getattr(base, base_name)
        found[entity] = {
            facet_key(cls.__name__): _name(cls)
            for cls in classes
            if issubclass(cls, root) and cls is not root
        }
    return found


def _name(cls: type) -> str:
    # Class names repeat (Job, Run, Assertion): the module tells them apart.
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


def _definition(cls: type) -> Schema:
    hints = typing.get_type_hints(cls)
    properties: Schema = {}
    required = []
    dependent: dict[str, list[str]] = {}
    for field in attrs.fields(cls):
        constant = _constant(field, hints[field.name])
        schema = _schema(hints[field.name]) if constant is None else {"const": constant}
        if field.default is attrs.NOTHING or isinstance(field.default, str):
            required.append(field.name)
        if found := _format(cls, field.name):
            schema["format"] = found
        if needs := _needs(cls, field.name):
            dependent[field.name] = needs
        properties[field.name] = schema
    definition: Schema = {"type": "object", "properties": properties}
    if required:
        definition["required"] = required
    if dependent:
        definition["dependentRequired"] = dependent
    return definition


def _schema(hint: Any) -> Schema:
    if hint in _SCALARS:
        return dict(_SCALARS[hint])
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        # `T | None` means that the field may be absent, never that it may be null.
        options = [option for option in arguments if option is not types.NoneType]
        return _schema(options[0]) if len(options) == 1 else _union(options)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    if isinstance(hint, type) and attrs.has(hint):
        return {"$ref": f"#/$defs/{_name(hint)}"}
    return {}  # a type that a newer client brought: anything goes there


def _constant(field: "attrs.Attribute[Any]", hint: object) -> str | None:
    """The one value that a field may have: the tag by which the members of a union are told apart."""
    if isinstance(field.default, str) and field.default and field.name not in _FILLED_BY_CLIENT:
        return field.default
    values = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    return values[0] if len(values) == 1 else None


def _union(options: list[Any]) -> Schema:
    """Any of the options; if each has its own constant in one field, that decides which one is meant.

    `anyOf` gives the same verdicts, but its errors say neither which option failed nor where, and gathering
    them from a nest of unions takes a validator seconds.
    """
    references = [_schema(option) for option in options]
    if not all(isinstance(option, type) and attrs.has(option) for option in options):
        return {"anyOf": references}
    tags = [_tags(option) for option in options]
    for name in sorted(set.intersection(*map(set, tags))):
        values = [tag[name] for tag in tags]
        if len(set(values)) == len(values):
            chosen = [
                {"if": {"properties": {name: {"const": value}}}, "then": reference}
                for value, reference in zip(values, references, strict=True)
            ]
            tagged = {"type": "object", "required": [name], "properties": {name: {"enum": values}}}
            return {**tagged, "allOf": chosen}
    return {"anyOf": references}


def _tags(cls: type) -> dict[str, str]:
    hints = typing.get_type_hints(cls)
    found = {field.name: _constant(field, hints[field.name]) for field in attrs.fields(cls)}
    return {name: value for name, value in found.items() if value is not None}


def _allows(cls: type, name: str, value: str, others: Iterable[str] = ()) -> bool:
    """Whether a field's validator takes the value while `others`, and no further field, are set."""
    instance = types.SimpleNamespace(**{field.name: None for field in attrs.fields(cls)})
    vars(instance).update(dict.fromkeys(others, "x"), **{name: value})
    field = attrs.fields_dict(cls)[name]
    try:
        if field.validator is not None:
            field.validator(instance, field, value)
    except ValueError:
        return False
    return True


def _format(cls: type, name: str) -> str | None:
    others = [field.name for field in attrs.fields(cls) if field.name != name]
    if _allows(cls, name, _BROKEN_URI, others):
        return None
    allowed = [format_ for format_, probe in _PROBES.items() if _allows(cls, name, probe, others)]
    # A URI's validator allows all that parses as one, the other two nothing but their own.
    return allowed[-1] if len(allowed) in {1, len(_PROBES)} else None


def _needs(cls: type, name: str) -> list[str]:
    """The fields without any of which this one's validator refuses every probe."""
    others = [field.name for field in attrs.fields(cls) if field.name != name]
    return [
        needed
        for needed in others
        if not any(_allows(cls, name, probe, set(others) - {needed}) for probe in _PROBES.values())
    ]

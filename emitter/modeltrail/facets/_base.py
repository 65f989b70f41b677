"""What all facets share: the two fields of OpenLineage's facet base, and the way to the wire."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal

import msgspec

from modeltrail.version import PRODUCER
from modeltrail_schemas import Entity

Capture = Literal["observed", "declared", "inferred"]
"""How a fact came to be known: seen by modeltrail, said by somebody, or concluded from other facts."""

_ATOMS: Final = frozenset({str, int, float, bool, dict})  # written as they are


class Facet(msgspec.Struct, frozen=True):
    """An ML facet; see `modeltrail.facets`.

    Attributes:
        KEY: its key in a facets map.
        SCHEMA_URL: its `_schemaURL`.
        ENTITY: which facets map it belongs in.
    """

    KEY: ClassVar[str]
    SCHEMA_URL: ClassVar[str]
    ENTITY: ClassVar[Entity]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: wire names, `_producer` and `_schemaURL`, fields that are None left out.

        Nested structs and attrs objects are written the same way. Nested dicts are the caller's own, not
        copies.
        """
        return _fields(self, {"_producer": PRODUCER, "_schemaURL": self.SCHEMA_URL})


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [item if type(item) in _ATOMS else _plain(item) for item in value]
    if _names(type(value)):  # type: ignore[arg-type]  # types are hashable
        return _fields(value, {})
    return dict(value) if isinstance(value, Mapping) else value


def _fields(value: Any, document: dict[str, Any]) -> dict[str, Any]:
    """The document with an object's fields: in wire names, those that are None left out."""
    for attribute, name in _names(type(value)):  # type: ignore[arg-type]  # types are hashable
        item = getattr(value, attribute)
        if item is not None:
            document[name] = item if type(item) in _ATOMS else _plain(item)
    return document


@lru_cache(maxsize=1024)
def _names(kind: type) -> tuple[tuple[str, str], ...]:
    """(attribute, wire name) of each field of a struct or of an attrs class; of any other class none."""
    described = getattr(kind, "__attrs_attrs__", ())
    attributes = getattr(kind, "__struct_fields__", None) or tuple(field.name for field in described)
    return tuple((attribute, wire_name(attribute)) for attribute in attributes)


def wire_name(name: str) -> str:
    """An attribute's name as the wire has it."""
    if name == "energy_kwh":  # the unit's own spelling
        return "energyKWh"
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)

"""Entries of hyperparameters and metrics: one JSON form for values that JSON does not have.

========================================  ==================================  =========
value of a parameter                      on the wire                         type
========================================  ==================================  =========
None                                      ``null``                            null
bool, int, str, finite float              as it is                            bool, …
NaN, Infinity, -Infinity                  ``"NaN"``, ``"Infinity"``,          float
                                          ``"-Infinity"``
int of more than 4,300 digits             hexadecimal text                    string
numpy scalar, Enum                        its value                           of that
list, tuple, range, set (sorted), array   array                               array
mapping                                   object                              object
date, time, Path, UUID, Decimal           its text                            string
function, class                           its dotted name                     string
any other object                          ``{"class": its dotted class}``     object
ufunc of numpy's kind                     the same, with its ``name``         object
========================================  ==================================  =========

A parameter is a setting, no data: what has more than `MAX_ITEMS` items becomes ``{"class", "length",
"sha256"}``, the digest that of its canonical JSON, an array of that size ``{"class", "shape"}``, and what
is nested deeper than `MAX_DEPTH` becomes ``{"class"}``.
"""

import datetime as dt
import decimal
import enum
import hashlib
import inspect
import json
import math
import os
import uuid
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

MAX_ITEMS: Final = 1000
MAX_DEPTH: Final = 8
_TOO_LONG: Final = 10**4300  # Python's own limit for turning an integer into digits

_TYPES: Final = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    list: "array",
    dict: "object",
}
_TEXT: Final = (dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID, os.PathLike)
_NON_FINITE: Final = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def param_entries(
    params: Mapping[str, Any], *, origin: str | None = None, component: str | None = None
) -> list[dict[str, Any]]:
    """The entries of `modelTrail_hyperparameters` for a mapping of names to values, in its order.

    Args:
        params: names to values; see the table of this module for what becomes of a value.
        origin: explicit, default, cli, config, env or search: where the values come from.
        component: the part of the program that they belong to, a step of a pipeline for instance.
    """
    entries = []
    for name, value in params.items():
        plain = json_value(value)
        written = "float" if _is_non_finite(value, plain) else _TYPES[type(plain)]
        entry = {"name": str(name), "value": plain, "type": written}
        if origin is not None:
            entry["origin"] = origin
        if component is not None:
            entry["component"] = component
        entries.append(entry)
    return entries


def params_sha256(entries: Iterable[Mapping[str, Any]]) -> str:
    """What two runs with the same parameters have in common, wherever these came from.

    SHA-256 of the canonical JSON (UTF-8, keys sorted, no spaces) of the list of `[component, name, type,
    value]`,
    sorted; component is `null` where there is none.
    """
    rows = [[entry.get("component"), entry["name"], entry["type"], entry.get("value")] for entry in entries]
    return hashlib.sha256(b"[" + b",".join(sorted(map(_canonical, rows))) + b"]").hexdigest()


def metric_entry(
    name: str,
    value: Any,
    *,
    step: int | None = None,
    epoch: float | None = None,
    at: str | None = None,
    split: str | None = None,
    dataset: Mapping[str, Any] | None = None,
    slice_: Mapping[str, Any] | None = None,
    unit: str | None = None,
    direction: str | None = None,
    ci: Mapping[str, Any] | None = None,
    threshold: float | None = None,
    model_id: str | None = None,
    capture: str | None = None,
) -> dict[str, Any]:
    """One entry of `modelTrail_metrics`, of an evaluation, or a point of a series.

    Args:
        name: what was measured.
        value: a number; NaN and ±Infinity are written as `null` with `nonFinite` beside it.
        step: the step it was measured at.
        epoch: the epoch, with a fraction.
        at: when, RFC 3339.
        split: the role of the data: train, validation, test, …
        dataset: `{"namespace", "name", "version", "digest"}` of the data.
        slice_: `{column: value}` of the rows it was measured on.
        unit: of the value.
        direction: `max` or `min`: which is better.
        ci: confidence interval, `{"low", "high", "level"}`.
        threshold: what it had to reach.
        model_id: which of the models that the run fits it was measured of.
        capture: where it differs from the facet's.

    Raises:
        TypeError: `value` is no number.
    """
    number = json_value(value)
    entry: dict[str, Any] = {"name": name, "value": number}
    if _is_non_finite(value, number):
        entry |= {"value": None, "nonFinite": _NON_FINITE[number]}
    elif type(number) is not float and type(number) is not int:
        raise TypeError(f"metric {name!r}: {value!r} is no number; give an int or a float")
    optional = {"step": step, "epoch": epoch, "at": at, "split": split, "dataset": dataset, "slice": slice_}
    optional |= {"unit": unit, "direction": direction, "ci": ci, "threshold": threshold}
    optional |= {"modelId": model_id, "capture": capture}
    entry.update({key: item for key, item in optional.items() if item is not None})
    return entry


def json_value(value: Any, depth: int = 0) -> Any:
    """A value as JSON has it: None, bool, int, finite float, str, list or dict; see the module's table."""
    kind = type(value)
    if kind in {str, bool, type(None)} or (kind is int and abs(value) < _TOO_LONG):
        return value
    if isinstance(value, enum.Enum):
        return json_value(value.value, depth)
    if isinstance(value, float):  # numpy.float64 is one too
        return float(value) if math.isfinite(value) else _named(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value) if abs(value) < _TOO_LONG else hex(value)
    if isinstance(value, _TEXT):
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    if inspect.isclass(value) or inspect.isroutine(value):
        return _dotted(value)
    if depth >= MAX_DEPTH:
        return {"class": _dotted(kind)}
    return _container(value, depth + 1)


def _container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return _limited(value, {str(key): json_value(item, depth) for key, item in value.items()})
    if isinstance(value, AbstractSet):
        return _limited(value, sorted((json_value(item, depth) for item in value), key=_canonical))
    if isinstance(value, list | tuple | range):
        return _limited(value, [json_value(item, depth) for item in value])
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # of numpy, pandas, torch, scalars too
        shape = [int(length) for length in getattr(value, "shape", ())]
        if math.prod(shape) > MAX_ITEMS:  # seen before anything of it is copied
            return {"class": _dotted(type(value)), "shape": shape}
        return json_value(value.tolist(), depth)
    kind = _dotted(type(value))
    return {"class": kind, "name": value.__name__} if kind == "numpy.ufunc" else {"class": kind}


def _limited(value: Any, plain: Any) -> Any:
    if len(plain) <= MAX_ITEMS:
        return plain
    digest = hashlib.sha256(_canonical(plain)).hexdigest()
    return {"class": _dotted(type(value)), "length": len(plain), "sha256": digest}


def _named(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _is_non_finite(value: Any, plain: Any) -> bool:
    """Whether text stands for a number that JSON does not have: "NaN" may also be what somebody wrote."""
    number = isinstance(value, float) or (hasattr(value, "dtype") and not isinstance(value, str))
    return number and isinstance(plain, str) and plain in _NON_FINITE


def _dotted(thing: Any) -> str:
    name = (
        getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None) or type(thing).__qualname__
    )
    module = getattr(thing, "__module__", None)
    return name if module in {None, "builtins"} else f"{module}.{name}"


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")

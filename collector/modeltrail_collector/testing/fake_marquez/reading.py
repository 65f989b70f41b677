"""What Marquez reads of a posted body: the parts of an event that it has types for, and its complaints.

It answers twice over: what does not fit a type cannot be read at all (500 with `code` 400 inside), and of
what was read all that must not be null is listed (422).
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

Event = dict[str, Any]

TEXT: Final = "java.lang.String"
TIME: Final = "java.time.ZonedDateTime"
URI: Final = "java.net.URI"

_ROOT: Final = "marquez.service.models.LineageEvent"
_LINK: Final = {"namespace!": TEXT, "name!": TEXT}


def _facet(**fields: Any) -> dict[str, Any]:
    return {"_producer!": URI, "_schemaURL!": URI, **fields}


RUN_FACETS: Final = {
    "nominalTime": _facet(**{"nominalStartTime!": TIME, "nominalEndTime": TIME}),
    "parent": _facet(**{"run!": {"runId!": TEXT}, "job!": _LINK}),
}
JOB_FACETS: Final = {
    "documentation": _facet(**{"description!": TEXT}),
    "jobType": _facet(**{"processingType!": TEXT, "integration!": TEXT, "jobType!": TEXT}),
    "sourceCodeLocation": _facet(type=TEXT, url=TEXT),
    "sql": _facet(**{"query!": TEXT}),
}
DATASET_FACETS: Final = {
    "columnLineage": _facet(fields={}),
    "dataSource": _facet(name=TEXT, uri=TEXT),
    "documentation": _facet(**{"description!": TEXT}),
    "lifecycleStateChange": _facet(lifecycleStateChange=TEXT),
    "schema": _facet(fields=[{"name!": TEXT, "type": TEXT, "description": TEXT}]),
    "symlinks": _facet(identifiers=[{**_LINK, "type": TEXT}]),
}
_DATASET: Final = {**_LINK, "facets": DATASET_FACETS, "inputFacets": {}, "outputFacets": {}}
_JOB: Final = {**_LINK, "facets": JOB_FACETS}
_IO: Final = {"inputs": [_DATASET], "outputs": [_DATASET]}
_EVENT: Final = {"eventTime!": TIME, "producer!": TEXT, "schemaURL": URI}

# A name that ends in ! must not be null; a list holds things of one shape.
SHAPES: Final[Mapping[str, dict[str, Any]]] = {
    "RunEvent": {
        **_EVENT,
        **_IO,
        "eventType": TEXT,
        "run!": {"runId!": TEXT, "facets": RUN_FACETS},
        "job!": _JOB,
    },
    "JobEvent": {**_EVENT, **_IO, "job!": _JOB},
    "DatasetEvent": {**_EVENT, "dataset!": _DATASET},
}

_TIME: Final = re.compile(
    r"\d{4}(?:-\d\d(?:-\d\d(?:T\d\d(?::\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?)?)?)?"
)
_NOT_IN_A_URI: Final = re.compile(r"[\s\"<>\\^`{|}]|%(?![0-9A-Fa-f]{2})")
_WHOLE_TIME: Final = 16  # 2026-11-23T10:00: seconds and zone may be left out


class UnreadableError(Exception):
    """The body cannot be read; the message is Marquez's."""


def parsed(body: bytes) -> Any:
    """The JSON of a body, as strictly as Marquez reads it; None for no body.

    Raises:
        UnreadableError: It is no JSON.
    """
    try:
        text = body.decode()
        return json.loads(text, parse_constant=lambda token: _not_a_number(text, token)) if text else None
    except json.JSONDecodeError as error:
        raise UnreadableError(_unexpected(error)) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"{type(error).__name__}{_place(body.decode(errors='replace'), 0)}") from error


def _not_a_number(text: str, token: str) -> NoReturn:
    found = re.search(rf"(?<![\w\"]){re.escape(token)}(?![\w\"])", text)
    hint = "enable JsonParser.Feature.ALLOW_NON_NUMERIC_NUMBERS to allow"
    raise UnreadableError(f"Non-standard token '{token}': {hint}{_place(text, found.end() if found else 0)}")


def _unexpected(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc):
        return f"Unexpected end-of-input{_place(error.doc, error.pos)}"
    found = error.doc[error.pos]
    names = error.msg.startswith("Expecting property name")
    expected = "was expecting double-quote to start field name" if names else "expected a valid value"
    return (
        f"Unexpected character ('{found}' (code {ord(found)})): {expected}{_place(error.doc, error.pos + 1)}"
    )


def _place(text: str, end: int) -> str:
    line = text.count("\n", 0, end) + 1
    column = end - (text.rfind("\n", 0, end) + 1) + 1
    source = "(org.glassfish.jersey.message.internal.ReaderInterceptorExecutor$UnCloseableInputStream)"
    return f"\n at [Source: {source}; line: {line}, column: {column}]"


def kind(event: Any) -> str:
    """RunEvent, JobEvent or DatasetEvent, by the end of its schemaURL; anything else is a RunEvent."""
    url = event.get("schemaURL") if isinstance(event, dict) else None
    name = str(url).rpartition("/")[2]
    return name if name in SHAPES else "RunEvent"


def complaints(event: Any) -> list[str]:
    """What must not be null and is.

    Raises:
        UnreadableError: Something has another type than Marquez has for it.
    """
    if event is None:
        return ["The request body must not be null"]
    if isinstance(event, str):
        raise UnreadableError(
            f"Cannot construct instance of `{_ROOT}` (although at least one Creator exists):"
            " no String-argument constructor/factory method to deserialize from String value"
            f" ('{event}'){_place('', 0)}"
        )
    return sorted(_nulls(event, SHAPES[kind(event)], "", _ROOT))


def _nulls(value: Any, shape: Any, path: str, name: str) -> Iterator[str]:
    if isinstance(shape, dict):
        yield from _nulls_within(value, shape, path, name)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _misfit(value, "java.util.ArrayList")
        for index, item in enumerate(value):
            yield from () if item is None else _nulls(item, shape[0], f"{path}[{index}]", name)
    elif shape == TIME:
        moment(value)
    elif isinstance(value, (dict, list)):
        raise _misfit(value, shape)
    elif shape == URI and not is_uri(str(value)):
        raise UnreadableError(
            f'Cannot deserialize value of type `{URI}` from String "{value}"{_place("", 0)}'
        )


def _nulls_within(value: Any, shape: dict[str, Any], path: str, name: str) -> Iterator[str]:
    if not isinstance(value, dict):
        raise _misfit(value, name)
    for field, inner in shape.items():
        key = field.removesuffix("!")
        where = f"{path}.{key}" if path else key
        if value.get(key) is not None:
            yield from _nulls(value[key], inner, where, key)
        elif field.endswith("!"):
            yield f"{where} must not be null"


def _misfit(value: Any, name: str) -> UnreadableError:
    word, token = ("Array", "START_ARRAY") if isinstance(value, list) else ("Object", "START_OBJECT")
    return UnreadableError(
        f"Cannot deserialize value of type `{name}` from {word} value (token `JsonToken.{token}`)"
        f"{_place('', 0)}"
    )


def is_uri(text: str) -> bool:
    """Whether Java takes it for a URI: anything but a few characters, and no broken escape."""
    return _NOT_IN_A_URI.search(text) is None


def moment(value: Any) -> datetime:
    """A time as Marquez reads it: ISO 8601 with or without a zone (then UTC), or seconds.

    Raises:
        UnreadableError: It is none.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, (dict, list)):
        raise _misfit(value, TIME)
    text = str(value)
    found = _TIME.match(text)
    read = found.end() if found else 0
    if read < len(text) or read < _WHOLE_TIME:
        raise UnreadableError(
            f'Cannot deserialize value of type `{TIME}` from String "{text}": Failed to deserialize {TIME}:'
            f" (java.time.format.DateTimeParseException) Text '{text}' could not be parsed at index {read}"
            f"{_place('', 0)}"
        )
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)

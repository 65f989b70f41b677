"""The codes a reason may carry. They are stable: tools and people filter by them."""

from collections.abc import Sequence
from enum import StrEnum

from modeltrail_collector.model import Reason


class Code(StrEnum):
    """Why a record is not plainly accepted.

    All but the last group reject it; the last one warns, and rejects in strict mode.
    """

    # The value is not read at all.
    NULL_VALUE = "null_value"  # the record has no value (a Kafka tombstone)
    EMPTY = "empty"  # no bytes, or only white space
    TOO_LARGE = "too_large"  # more than MAX_BYTES
    # The value is not JSON that every reader reads alike.
    NOT_UTF8 = "not_utf8"  # the path is that of the whole value; the message names the byte
    NOT_JSON = "not_json"  # broken syntax, a byte order mark, half of a surrogate pair
    NOT_FINITE = "not_finite"  # NaN, Infinity or a number too large for a double; the path is the number's
    TOO_DEEP = "too_deep"  # nested deeper than MAX_DEPTH
    TOO_MANY_KEYS = "too_many_keys"  # more than MAX_KEYS object members and array items
    # The event without its facets breaks OpenLineage's core schema.
    REQUIRED = "required"  # a field is missing; the path is the missing field's
    TYPE = "type"  # a value of another JSON type, null included
    ENUM = "enum"  # not one of the values allowed: eventType
    FORBIDDEN = "forbidden"  # a field that this kind of event must not have: a run in a JobEvent
    UNJUDGED = "unjudged"  # the validators failed on this value
    # Warnings: the event is kept.
    FORMAT = "format"  # no URI, date-time or UUID where one belongs, in the core or in a facet
    FACET_BASE = "facet_base"  # a facet that is no object, or without `_producer` or `_schemaURL`
    FACET_SCHEMA = "facet_schema"  # a known facet that breaks its own schema


WARNINGS = frozenset({Code.FORMAT, Code.FACET_BASE, Code.FACET_SCHEMA})


def cause(reasons: Sequence[Reason]) -> Reason:
    """The reason a record was rejected for: the first that is no mere warning, in strict mode the first."""
    return next((reason for reason in reasons if reason.code not in WARNINGS), reasons[0])

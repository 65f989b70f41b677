"""The shapes of the tables, as Arrow schemas: what every reader may rely on.

Times are UTC timestamps in microseconds. `bucket` partitions a table on disk: all that belongs to one run
lies in one bucket (the UTC date of a UUIDv7 run id, else `x` and a hash digit), all that belongs to one model
name in another kind of bucket (`m` and two hash digits), so that a bucket can be written again as a whole.
"""

from typing import Final

import pyarrow as pa

TIME: Final = pa.timestamp("us", tz="UTC")
TEXT: Final = pa.string()


def _schema(text: str) -> pa.Schema:
    """A schema from `name type` words: `run_id text, step int`."""
    types = {"text": TEXT, "int": pa.int64(), "time": TIME, "bool": pa.bool_(), "real": pa.float64()}
    types |= {"int32": pa.int32(), "texts": pa.list_(TEXT)}
    fields = (word.split() for word in text.split(",") if word.strip())
    return pa.schema([pa.field(name, types[kind]) for name, kind in fields])


_PLACE = "topic text, topic_id text, partition int32, offset int,"

ENTRIES: Final = pa.schema(
    [
        *_schema(_PLACE + "source text, ingested_at_ms int"),
        pa.field("value", pa.binary()),
        *_schema("verdict text, event_kind text, event_type text, event_time text, run_id text"),
        *_schema("job_namespace text, job_name text, sha256 text"),
        pa.field("reasons", pa.list_(pa.struct([("code", TEXT), ("path", TEXT), ("message", TEXT)]))),
    ]
)
"""What `flatten` takes: log records, with the topic's id that only the segment's path knows."""

_FACET: Final = pa.struct(
    [("scope", TEXT), ("namespace", TEXT), ("name", TEXT), ("key", TEXT), ("part", TEXT), ("value", TEXT)]
)

FLAT: Final = pa.schema(
    [
        *_schema(
            "bucket text," + _PLACE + "ingested_at time, verdict text, event_kind text, event_type text"
        ),
        *_schema(
            "event_time time, happened_at time, run_id text, job_namespace text, job_name text, producer text"
        ),
        *_schema("sha256 text, digest text, snapshot bool"),
        pa.field("facets", pa.list_(_FACET)),
    ]
)
"""One row per accepted or warned record, its facets in a list: append-only, what all reduced tables come
from.

`happened_at` orders events (eventTime, or arrival where that is unreadable); `digest` is the hash of the
canonical JSON.
"""

REJECTED: Final = _schema(
    "arrival_date text,"
    + _PLACE
    + "ingested_at time, code text, path text, message text, source text, sha256 text"
)
"""One row per reason of a rejected record."""

BY_RUN: Final[dict[str, pa.Schema]] = {
    "events": _schema(
        "bucket text,"
        + _PLACE
        + "ingested_at time, verdict text, duplicate bool, event_kind text, event_type text, event_time time,"
        "run_id text, job_namespace text, job_name text, producer text, sha256 text, digest text"
    ),
    "facets": _schema(
        "bucket text, run_id text, scope text, namespace text, name text, key text, part text, "
        "value text, happened_at time," + _PLACE
    ),
    "runs": _schema(
        "bucket text, run_id text, job_namespace text, job_name text, job_stem text, job_type text, "
        "integration text,"
        "state text, started_at time, ended_at time, last_event_at time, events int, parent_run_id text,"
        "parent_job_namespace text, parent_job_name text, root_run_id text, error text, producer text,"
        "first_event_at time, first_ingested_at time, last_ingested_at time"
    ),
    "run_datasets": _schema(
        "bucket text, run_id text, role text, namespace text, name text, version text, fingerprint text, "
        "use text, followed bool, possible_outputs texts,"
        "rows int, kind text, capture text, registered_name text, registered_version text, "
        "happened_at time, identities texts, model_id text, part_ids texts, made_of texts"
    ),
    "edges": _schema(
        "bucket text, run_id text, to_namespace text, to_name text, from_namespace text, from_name text, "
        "via text"
    ),
    "params": _schema(
        "bucket text, run_id text, name text, value text, type text, origin text, component text, "
        "model_id text, capture text"
    ),
    "metrics": _schema(
        "bucket text, run_id text, name text, value real, step int, dataset text, slice text, split text, "
        "model_id text, happened_at time,"
        "source text, model_namespace text, model_name text, model_version text, model_digest text"
    ),
    "deployments": _schema(
        "bucket text, run_id text, action text, platform text, endpoint text, uri text, environment text,"
        "model_namespace text, model_name text, model_version text, model_digest text, previous_version text,"
        "traffic_percent real, effective_at time, actor text, state text"
    ),
}
"""Reduced from the flat rows of one bucket; one row per key."""

BY_NAME: Final[dict[str, pa.Schema]] = {
    "mentions": _schema(
        "bucket text, how text, key text, key_namespace text, role text, run_bucket text, run_id text,"
        "namespace text, name text,"
        "kind text, version text, fingerprint text, use text, rows int, started_at time, wrote_at time,"
        "first_event_at time, last_event_at time, first_ingested_at time, last_ingested_at time"
    ),
}
"""The same runs by what they name, for questions that start from a name: nothing that others do not say."""

BY_MODEL: Final[dict[str, pa.Schema]] = {
    "models": _schema(
        "bucket text, namespace text, name text, version text, run_id text, digest text, algorithm text,"
        "created_at time, framework text, framework_version text, task text, digest_algorithm text, uri text,"
        "size_bytes int, registered_name text, registered_run_id text, aliases texts, deleted_at time,"
        "first_event_at time, last_event_at time, first_ingested_at time, last_ingested_at time,"
        "stage text, given_aliases texts, given_at texts, step int"
    ),
    "changes": _schema(
        "bucket text, namespace text, name text, version text, base_version text, section text, path text,"
        "before text, after text"
    ),
}
"""Reduced across runs, by model name."""

PUBLIC: Final[dict[str, pa.Schema]] = {**BY_RUN, "rejected": REJECTED, **BY_MODEL}
"""Every table a reader may ask for, by name: `<log>/tables/<name>`."""

DERIVED: Final[dict[str, pa.Schema]] = {**BY_RUN, **BY_NAME, **BY_MODEL}
"""What is reduced from `flat`, in the order in which it is."""

SORTED_BY: Final = {
    **dict.fromkeys(BY_RUN, "run_id"),
    **dict.fromkeys(BY_NAME, "key"),
    **dict.fromkeys(BY_MODEL, "name"),
}
"""The column by which the files of a derived table are sorted within their bucket: what is asked for."""

ORDER: Final = {**SORTED_BY, **dict.fromkeys(BY_NAME, "key, how, run_id, role, namespace, name")}
"""The whole order within a bucket: a folder is mentioned by all that is below it, what reads it by few."""

TABLES: Final[dict[str, pa.Schema]] = {"flat": FLAT, "rejected": REJECTED, **DERIVED}
"""All of them: `flat` and `rejected` are made of the log's records, the others of `flat`."""

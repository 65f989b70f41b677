"""OpenLineage events as plain dicts, and the datasets in them.

Building openlineage-python's objects costs half a millisecond an event, importing them half a second; these
are the JSON that they would give.
"""

import datetime as dt
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from modeltrail import naming
from modeltrail.facets import PRODUCER
from modeltrail_schemas import encoding

SCHEMA_URL: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"

EventType = Literal["START", "RUNNING", "COMPLETE", "FAIL", "ABORT", "OTHER"]


class Dataset(msgspec.Struct, frozen=True, eq=False, weakref=True):
    """A dataset by its OpenLineage name, with what is known of it.

    Two are equal when their names are: what is known may differ from run to run.

    Attributes:
        namespace: where names are unique: `file`, `s3://bucket`, `modeltrail://registry`, …; written so that
            Marquez takes it.
        name: the name in it; `unnamed` where it is blank.
        facets: dataset facets, key -> JSON form.
        input_facets: facets of its being read.
        output_facets: facets of its being written.
    """

    namespace: str
    name: str
    facets: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    input_facets: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    output_facets: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for field, written in (
            ("namespace", encoding.namespace(self.namespace)),
            ("name", naming.given(self.name)),
            ("facets", dict(self.facets)),
            ("input_facets", dict(self.input_facets)),
            ("output_facets", dict(self.output_facets)),
        ):
            msgspec.structs.force_setattr(self, field, written)

    def __repr__(self) -> str:
        return f"Dataset(namespace={self.namespace!r}, name={self.name!r})"

    @property
    def identity(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dataset) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def as_input(self) -> dict[str, Any]:
        """The JSON form among the inputs of an event."""
        return self._written("inputFacets", self.input_facets)

    def as_output(self) -> dict[str, Any]:
        """The JSON form among the outputs of an event."""
        return self._written("outputFacets", self.output_facets)

    def _written(self, key: str, of_use: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        written: dict[str, Any] = {
            "namespace": self.namespace,
            "name": self.name,
            "facets": dict(self.facets),
        }
        return {**written, key: dict(of_use)} if of_use else written


def run_event(
    event_type: EventType,
    event_time: str,
    run_id: str,
    job_namespace: str,
    job_name: str,
    *,
    run_facets: Mapping[str, Any] | None = None,
    job_facets: Mapping[str, Any] | None = None,
    inputs: Iterable[Mapping[str, Any]] = (),
    outputs: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """A RunEvent. `inputs` and `outputs` are always there: consumers call an event without them malformed.

    Args:
        event_type: what happened to the run.
        event_time: RFC 3339; see `now`.
        run_id: a UUID; see `new_run_id`.
        job_namespace: the namespace of the job.
        job_name: its name in there, the same for each of its runs.
        run_facets: key -> JSON form.
        job_facets: key -> JSON form.
        inputs: as `Dataset.as_input` gives them.
        outputs: as `Dataset.as_output` gives them.
    """
    return {
        "eventType": event_type,
        "eventTime": event_time,
        "run": {"runId": run_id, "facets": dict(run_facets or {})},
        "job": {"namespace": job_namespace, "name": job_name, "facets": dict(job_facets or {})},
        "inputs": list(inputs),
        "outputs": list(outputs),
        "producer": PRODUCER,
        "schemaURL": SCHEMA_URL,
    }


def now() -> str:
    """This moment, RFC 3339 in UTC with microseconds: events of a run are ordered by it."""
    return moment(time.time())


def moment(seconds: float) -> str:
    """So many seconds since 1970, as `now`."""
    return (
        dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    )


def new_run_id() -> str:
    """A new UUID of version 7 (RFC 9562): later ones sort after earlier ones."""
    return uuid7(time.time_ns() // 1_000_000, secrets.randbits(76))


def uuid7(milliseconds: int, node: int) -> str:
    """The UUID of version 7 with this time since 1970 and these low bits, of which it has room for 74."""
    value = (milliseconds & (1 << 48) - 1) << 80 | node & (1 << 80) - 1
    value = value & ~(0xF << 76) | 7 << 76
    return str(uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62))

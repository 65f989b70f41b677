"""What is told of a finding, when it begins and when it ends; as JSON, and as an OpenLineage event."""

import json
import uuid
from collections.abc import Iterable
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Final, Literal

import msgspec

from modeltrail_collector import judge
from modeltrail_collector.answers.firing import NAMESPACE, Finding, plain
from modeltrail_collector.errors import OwnershipLost
from modeltrail_collector.log import Log
from modeltrail_collector.model import LOCAL, FileProgress, Record
from modeltrail_collector.pump.files import sealed_so_far
from modeltrail_collector.pump.local import LocalWriter
from modeltrail_collector.pump.totals import Totals

_IDS: Final = uuid.uuid5(uuid.NAMESPACE_URL, f"{NAMESPACE}/notices")
_SPEC: Final = "https://openlineage.io/spec"


class Notice(msgspec.Struct):
    """That a finding began to fire, or ended; `waiting` are the targets that it was not delivered to yet.

    `time` counts how often the finding has begun, so that it is told again when it comes back.
    """

    status: Literal["firing", "resolved"]
    finding: Finding
    time: int
    since: str
    at: str
    waiting: list[str]

    @property
    def id(self) -> str:
        """The same whoever tells it and how often: the run id of its event, and its idempotency key."""
        return str(uuid.uuid5(_IDS, json.dumps([self.finding.key, self.time, self.status])))


def payload(notice: Notice) -> dict[str, Any]:
    """What webhooks and stdout get."""
    told = {"id": notice.id, "status": notice.status, "since": notice.since, "at": notice.at}
    return told | plain(notice.finding)


def event(notice: Notice) -> bytes:
    """A COMPLETE event whose run has the standard `test` facet; always the same for the same notice."""
    found = notice.finding
    producer = f"https://github.com/modeltrail/modeltrail/tree/{version('modeltrail')}"
    about: dict[str, Any] = {"subject": found.subject, "finding": found.finding, "since": notice.since}
    about |= {"runId": found.run_id, "source": found.source, "facts": found.facts}
    test = {
        "name": found.rule,
        "status": "fail" if notice.status == "firing" else "pass",
        "severity": found.severity,
        "type": found.kind,
        "description": found.message,
        "expected": found.expected,
        "actual": found.actual if notice.status == "firing" else None,
        "params": {name: value for name, value in about.items() if value is not None},
    }
    facet = {
        "_producer": producer,
        "_schemaURL": f"{_SPEC}/facets/1-0-1/TestRunFacet.json#/$defs/TestRunFacet",
    }
    kind = {
        "_producer": producer,
        "_schemaURL": f"{_SPEC}/facets/2-0-3/JobTypeJobFacet.json#/$defs/JobTypeJobFacet",
        "processingType": "BATCH",
        "integration": "MODELTRAIL",
        "jobType": "ALERT",
    }
    tests = [{name: value for name, value in test.items() if value is not None}]
    whole = {
        "eventType": "COMPLETE",
        "eventTime": notice.at,
        "producer": producer,
        "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": notice.id, "facets": {"test": {**facet, "tests": tests}}},
        "job": {"namespace": NAMESPACE, "name": found.rule, "facets": {"jobType": kind}},
        "inputs": [],
        "outputs": [],
    }
    return json.dumps(whole, ensure_ascii=True).encode()


def seal(log: Log, notices: Iterable[Notice]) -> int:
    """Seal the events of these notices that the log does not hold; how many.

    Each goes into the local chain as a line of the inbox does: a segment's header says that `alert:<id>` is
    in it. So it is there once, whoever seals it and however often he dies meanwhile.
    """
    wanted = list(notices)
    totals = Totals()
    log.recover(LOCAL)
    while True:
        known = {path for path, _ in sealed_so_far(log)}
        writer = LocalWriter(log, log.end(LOCAL), totals)
        try:
            for notice in wanted:
                source = f"alert:{notice.id}"
                if source in known:
                    continue
                value = event(notice)
                record = Record(LOCAL.topic, LOCAL.partition, writer.end, source, log.wall(), None, (), value)
                progress = FileProgress(source, sha256(value).hexdigest(), len(value))
                writer.add(record, judge.judge(value), progress)
            writer.seal()
        except OwnershipLost:
            continue
        return totals.records

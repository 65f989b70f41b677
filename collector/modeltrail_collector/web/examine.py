"""What is to be kept of a body, and what its sender is to hear. Pure."""

from typing import Final

import msgspec

from modeltrail_collector import judge
from modeltrail_collector.judge import Code, large
from modeltrail_collector.model import Verdict
from modeltrail_collector.web.refusal import Refusal
from modeltrail_collector.web.tokens import Grant

MAX_EVENTS: Final = 10_000
"""Of one batch."""

_KEPT: Final = frozenset(
    {Code.REQUIRED, Code.TYPE, Code.ENUM, Code.FORBIDDEN, Code.NOT_FINITE, Code.UNJUDGED}
)
"""What is rejected for these is JSON, or nearly: somebody meant an event. The log keeps it as evidence, as it
does with what comes by Kafka. All else that is rejected is noise: its sender is told, and nobody keeps it.
"""


class _Dataset(msgspec.Struct):
    namespace: str


class _DatasetEvent(msgspec.Struct):
    dataset: _Dataset


def examine(value: bytes, grant: Grant) -> Verdict:
    """The judge's verdict on an event that is to be kept; it may be `rejected`.

    Raises:
        Refusal: It is not to be kept: no JSON, too large, or of a namespace that the token is not for.
    """
    verdict = judge.judge(value)
    if verdict.verdict == "rejected" and (cause := judge.cause(verdict.reasons)).code not in _KEPT:
        status = 413 if cause.code == Code.TOO_LARGE else 400
        raise Refusal(status, "this is no event", reasons=verdict.reasons)
    if grant.namespaces is not None and not grant.allows(namespace := _namespace(value, verdict)):
        raise Refusal(403, f"the token {grant.name!r} is not for the namespace {namespace!r}")
    return verdict


def _namespace(value: bytes, verdict: Verdict) -> str | None:
    """Of the job, or of the dataset that an event without a job is about; None where it cannot be read."""
    if verdict.event_kind != "dataset":
        return verdict.job_namespace
    try:
        return msgspec.json.decode(value, type=_DatasetEvent).dataset.namespace
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def examine_batch(body: bytes, grant: Grant) -> list[tuple[bytes, Verdict | Refusal]]:
    """Each event of a batch with what `examine` says of it.

    Raises:
        Refusal: The body is no JSON array, or holds too many events.
    """
    if large.has_more_values(body, judge.MAX_KEYS):
        raise Refusal(413, f"the batch holds more than {judge.MAX_KEYS} values: send smaller ones")
    try:
        values = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        reasons = judge.judge(body).reasons
        raise Refusal(400, "a batch is a JSON array of events", reasons=reasons) from None
    if len(values) > MAX_EVENTS:
        raise Refusal(413, f"the batch holds {len(values)} events, the limit is {MAX_EVENTS}")
    return [(value, _or_refusal(value, grant)) for value in map(bytes, values)]


def _or_refusal(value: bytes, grant: Grant) -> Verdict | Refusal:
    try:
        return examine(value, grant)
    except Refusal as refusal:
        return refusal

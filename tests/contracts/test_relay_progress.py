"""One suite for what a relay remembers: memory, the simulation's stores, a disk, S3."""

import threading

from backends import backend
from logs import P0, again, entry

from modeltrail_collector.log import Batch, Log
from modeltrail_collector.relay import progress
from modeltrail_collector.relay.backend import Backend
from modeltrail_collector.relay.forward import Relay
from modeltrail_collector.relay.standing import standings

EVENT = (
    b'{"eventType":"COMPLETE","eventTime":"2026-01-01T00:00:00Z","run":{"runId":"r%d"},'
    b'"job":{"namespace":"a","name":"%s"},"producer":"https://a.example","schemaURL":"https://a.example/RunEvent"}'
)


def seal(log: Log, *jobs: bytes) -> None:
    start = log.end(P0)
    entries = [
        entry(start + n, EVENT % (start + n, job), verdict="accepted", reasons=(), event_type="COMPLETE")
        for n, job in enumerate(jobs)
    ]
    log.append(P0, Batch(start, start + len(jobs), entries))


def test_position_counts_and_what_is_aside_are_kept(log: Log) -> None:
    """The next process goes on there, and lists what was held back or refused; reset forgets all of it."""
    with backend() as server:
        server.answer = lambda body: (422, b"no", {}) if b'"refused"' in body else (201, b"", {})
        seal(log, b"fine", b"", b"refused")
        Relay(log, Backend(server.url)).turn(threading.Event())
        log = again(log)
        seal(log, b"next")
        assert {"sent": 1} == Relay(log, Backend(server.url)).turn(threading.Event())
        (found,) = standings(again(log), server.url, 9)
        assert ({"sent": 2, "held_back": 1, "refused": 1}, 0) == (found["records"], found["behind"])
        assert [("events/0/1", "held_back"), ("events/0/2", "refused")] == [
            (aside["record"], aside["outcome"]) for aside in found["aside"]
        ]
        progress.forget(log, progress.folder_of(server.url))
        assert [] == standings(again(log), None, 9)
        server.answer = lambda _: (201, b"", {})
        assert {"sent": 3, "held_back": 1} == Relay(again(log), Backend(server.url)).turn(threading.Event())

"""The relay: what goes, in which order, what becomes of the rest, and where it goes on."""

import contextlib
import itertools
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
from backends import PAGE, TAKEN, Backend, backend

from modeltrail_collector.clock import wall_ms
from modeltrail_collector.errors import ConfigError, Unavailable
from modeltrail_collector.log import Batch, Log, Place, maintain
from modeltrail_collector.model import LOCAL, Entry, LogPartition, Reason
from modeltrail_collector.relay import backend as http
from modeltrail_collector.relay import delivery, lanes, progress, trouble
from modeltrail_collector.relay.forward import Relay
from modeltrail_collector.relay.lanes import Lanes
from modeltrail_collector.relay.parcels import Parcel, Selection
from modeltrail_collector.relay.standing import standings
from modeltrail_collector.testing import MemoryStore

P0, P1 = (LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", number) for number in (0, 1))
DAY_MS = 24 * 60 * 60 * 1000
PRODUCER = "https://example.org/tests"
BASE = {"_producer": PRODUCER, "_schemaURL": f"{PRODUCER}/facet.json"}


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is tried again at once."""
    monkeypatch.setattr(trouble, "BACKOFF_S", 0.002)
    monkeypatch.setattr(trouble, "BACKOFF_MAX_S", 0.02)


@pytest.fixture
def log() -> Log:
    return Log(MemoryStore())


@pytest.fixture
def server() -> Iterator[Backend]:
    with backend() as found:
        yield found


def run_event(run_id: str, state: str, job: str = "job", **more: object) -> dict:
    return {
        "eventType": state,
        "eventTime": "2026-11-23T10:00:00Z",
        "producer": PRODUCER,
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run_id, "facets": {}},
        "job": {"namespace": "etl", "name": job},
        **more,
    }


def child_of(job: str, run: str, *, root: str | None = None) -> dict:
    link = BASE | {"run": {"runId": run}, "job": {"namespace": "etl", "name": job}}
    if root:
        link["root"] = {"run": {"runId": root}, "job": {"namespace": "etl", "name": root}}
    return {"parent": link}


def seal(log: Log, make: type, events: list, partition: LogPartition = LOCAL, **changes: object) -> None:
    """One segment behind what there is."""
    start = log.end(partition)
    made = make.entries(events, partition, start)
    entries = [Entry(**{key: getattr(one, key) for key in one.__struct_fields__} | changes) for one in made]
    log.append(partition, Batch(start, start + len(events), entries))


def relay(log: Log, server: Backend, **settings: object) -> tuple[Relay, dict]:
    """One turn of a relay of its own, and what became of the records."""
    made = Relay(log, http.Backend(server.url), **settings)
    return made, dict(made.turn(threading.Event()))


def position(log: Log, server: Backend, partition: LogPartition = LOCAL) -> int:
    state = progress.known(log, progress.folder_of(server.url))
    return state.positions.get(progress.key_of(partition), 0) if state else 0


def test_each_run_goes_in_order_one_at_a_time_and_others_beside_it(log: Log, server: Backend, make) -> None:
    """However long each answer takes, a run's next event leaves after it; many runs are under way at once."""
    states = ["START", "RUNNING", "RUNNING", "COMPLETE"]
    events = [
        run_event(f"r{n}", state, f"job{n}", x=place) for place, state in enumerate(states) for n in range(12)
    ]
    seal(log, make, events)
    chance = random.Random(7)
    server.delay = lambda: chance.uniform(0, 0.01)
    _, found = relay(log, server, connections=6)
    assert {"sent": 48} == found
    by_run = defaultdict(list)
    for request in sorted(server.got, key=lambda request: request.began):
        by_run[request.event["run"]["runId"]].append(request)
    assert [[0, 1, 2, 3]] * 12 == [[one.event["x"] for one in requests] for requests in by_run.values()]
    for requests in by_run.values():
        assert all(a.ended <= b.began for a, b in pairwise(requests))
    busy = max(sum(a.began < b.ended and b.began <= a.began for b in server.got) for a in server.got)
    assert 2 <= busy <= 6


def test_a_root_job_and_all_below_it_are_one_lane(log: Log, server: Backend, make) -> None:
    """Children come after their parents, also those that name no root, or their parent not every time."""
    dag = child_of("dag", "d")
    events = [
        run_event("d", "START", "dag"),
        run_event("t", "START", "task", run={"runId": "t", "facets": dag}),
        run_event("s", "START", "step", run={"runId": "s", "facets": child_of("task", "t", root="dag")}),
        run_event("u", "START", "inner", run={"runId": "u", "facets": child_of("task", "t")}),
        run_event("u", "COMPLETE", "inner"),
        run_event("t", "COMPLETE", "task"),
        run_event("d", "COMPLETE", "dag"),
    ]
    seal(log, make, events)
    first = iter([0.05])
    server.delay = lambda: next(first, 0)
    relay(log, server)
    assert [(one["run"]["runId"], one["eventType"]) for one in events] == server.said


def test_who_reads_by_another_name_comes_after_who_tells_of_it(log: Log, server: Backend, make) -> None:
    """The event with the symlink is answered before one of another job that names the alias is sent."""
    links = BASE | {"identifiers": [{"namespace": "file", "name": "/m.bin", "type": "LOCATION"}]}
    model = {"namespace": "registry", "name": "m", "facets": {"symlinks": links}}
    by_alias, other = ({"namespace": "file", "name": name} for name in ("/m.bin", "/x"))
    events = [
        run_event("train", "START", "train"),
        run_event("train", "COMPLETE", "train", outputs=[model]),
        *(run_event(f"read{n}", "START", f"read{n}", inputs=[by_alias]) for n in range(9)),
        run_event("free", "START", "free", inputs=[other]),
    ]
    seal(log, make, events)
    free = threading.Event()

    def answer(body: bytes) -> tuple:
        if b'"free"' in body:
            free.set()
        elif b'"train"' in body:
            assert free.wait(30)
        return TAKEN

    server.answer = answer
    assert {"sent": 12} == relay(log, server, connections=4)[1]
    assert [("free", "START"), ("train", "START"), ("train", "COMPLETE")] == server.said[:3]


def test_a_run_that_ended_stays_so(log: Log, server: Backend, make) -> None:
    """What comes behind the end of its run is sent with the type of that end, known after a restart too."""
    seal(
        log, make, [run_event("a", state, x=n) for n, state in enumerate(["START", "OTHER", "FAIL", "OTHER"])]
    )
    relay(log, server)
    seal(log, make, [run_event("a", "RUNNING"), run_event("b", "OTHER"), run_event("a", "COMPLETE")])
    made, _ = relay(log, server)
    assert ["START", "OTHER", "FAIL", "FAIL", "FAIL", "COMPLETE"] == [
        s for run, s in server.said if run == "a"
    ]
    assert {"end_kept": 1} == made.status.repaired
    assert ("b", "OTHER") in server.said


def test_partitions_are_merged_by_arrival(log: Log, server: Backend, make) -> None:
    """What was collected first goes first, whichever partition it is of."""
    for second, partition in enumerate([P1, LOCAL, P0, P1]):
        seal(log, make, [run_event(f"r{second}", "START")], partition, ingested_at_ms=1000 + second)
    _, found = relay(log, server, connections=1)
    assert {"sent": 4} == found
    assert [f"r{n}" for n in range(4)] == [run for run, _ in server.said]


def test_what_is_not_to_be_sent_is_passed(log: Log, server: Backend, make) -> None:
    """Rejected records, exact repeats and what the filters leave out are counted and not sent."""
    wanted, other = run_event("a", "START"), run_event("b", "START", job="x")
    other["job"]["namespace"] = "ml"
    told = {key: wanted[key] for key in ("eventTime", "producer", "job")}
    dataset = {
        **{key: told[key] for key in ("eventTime", "producer")},
        "dataset": {"namespace": "etl", "name": "d"},
    }
    for event, kind in ((told, "JobEvent"), (dataset, "DatasetEvent")):
        event["schemaURL"] = wanted["schemaURL"].replace("RunEvent", kind)
    seal(log, make, [wanted, other, told, dataset, wanted])
    log.append(LOCAL, Batch(5, 6, [make.rejected(5, b"{}", Reason("type", "$", "no"))]))
    selection = Selection(frozenset({"run", "dataset"}), frozenset({"etl"}))
    made, found = relay(log, server, selection=selection)
    assert {"sent": 2, "filtered": 2, "duplicate": 1, "rejected": 1} == found
    assert [wanted, dataset] == sorted((one.event for one in server.got), key=lambda one: "dataset" in one)
    assert (6, 0, 0) == (position(log, server), made.status.behind, made.status.under_way)


def test_a_repeat_is_known_after_a_restart(log: Log, server: Backend, make) -> None:
    """The next process looks back a little: what another one sent is not sent again."""
    start, complete = run_event("a", "START"), run_event("a", "COMPLETE")
    seal(log, make, [start, complete])
    relay(log, server)
    seal(log, make, [start, run_event("b", "START")])
    _, found = relay(log, server)
    assert {"duplicate": 1, "sent": 1} == found
    assert [("a", "START"), ("a", "COMPLETE"), ("b", "START")] == server.said


def test_turn_after_turn_goes_on_where_the_last_one_ended(log: Log, server: Backend, make) -> None:
    """One relay sees what is new in old and new partitions; another backend has a position of its own."""
    made, found = relay(log, server)
    assert {} == found
    for partition in (LOCAL, P0, LOCAL):
        seal(log, make, [run_event(str(partition), f"S{log.end(partition)}")], partition)
        assert {"sent": 1} == made.turn(threading.Event())
    assert 3 == len(server.got)
    with backend() as other:
        assert {"sent": 3} == relay(log, other)[1]
    assert 2 == len(standings(log, None, 9))


def test_a_reset_reaches_a_relay_that_runs(log: Log, server: Backend, make) -> None:
    """Begun anew under its feet it sends all again, and takes nothing that it saw for a repeat."""
    seal(log, make, [run_event("a", "START"), run_event("a", "COMPLETE")])
    made, _ = relay(log, server)
    progress.forget(log, progress.folder_of(server.url))
    assert {"sent": 2} == made.turn(threading.Event())
    assert ["START", "COMPLETE"] * 2 == [state for _, state in server.said]


def test_a_log_that_was_restored_is_sent_again(log: Log, server: Backend, make) -> None:
    """Where the log is shorter than what was sent, other records may stand there now: none is missed."""
    seal(log, make, [run_event("a", "START"), run_event("a", "COMPLETE")])
    contents = dict(log.store.contents)
    seal(log, make, [run_event("lost", "START"), run_event("lost", "COMPLETE")])
    relay(log, server)
    restored = Log(MemoryStore())
    restored.store.contents = contents | {
        name: data for name, data in log.store.contents.items() if name.startswith("relay/")
    }
    seal(restored, make, [run_event("new", "START")])
    assert {"sent": 3} == relay(restored, server)[1]
    assert ("new", "START") in server.said


def test_a_repaired_event_is_sent_and_told_of(log: Log, server: Backend, make) -> None:
    """What a Marquez would refuse is repaired on the way, counted by rule; as it came with the guard none."""
    event = run_event("a", "COMPLETE", outputs=[{"namespace": "my team", "name": "d"}])
    seal(log, make, [event])
    relay(log, server)
    assert "my=20team" == server.got[0].event["outputs"][0]["namespace"]
    (found,) = standings(log, server.url, 9)
    assert (1, "local/0/0: outputs[0].namespace") == (
        found["repaired"]["namespace_characters"].events,
        found["repaired"]["namespace_characters"].last,
    )
    progress.forget(log, progress.folder_of(server.url))
    relay(log, server, guard="none")
    assert event == server.got[1].event


def test_what_would_spoil_a_marquez_is_held_back(log: Log, server: Backend, make) -> None:
    """It is never sent, and listed with its place and the reason; what is behind it goes on."""
    bad = run_event("bad", "COMPLETE", job="trained", outputs=[{"namespace": "", "name": "d"}])
    seal(log, make, [bad, run_event("next", "OTHER", job="trained")])
    assert {"held_back": 1, "sent": 1} == relay(log, server)[1]
    assert [("next", "OTHER")] == server.said
    (found,) = standings(log, server.url, 9)
    (aside,) = found["aside"]
    assert ("local/0/0", "held_back", "trained", "bad", "COMPLETE") == tuple(
        aside[key] for key in ("record", "outcome", "job", "run_id", "event_type")
    )
    assert "outputs[0].namespace" in aside["why"]


def answering(server: Backend, run: str, *answers: object) -> None:
    """Answers to the events of one run, the last one for ever."""
    left = list(answers)

    def answer(body: bytes) -> object:
        if json.loads(body)["run"]["runId"] != run:
            return TAKEN
        return left.pop(0) if len(left) > 1 else left[0]

    server.answer = answer


@pytest.mark.parametrize(
    "refusal",
    [(422, b'{"errors":["x"]}', {}), (400, b"", {}), (500, b'{"code":400}', {})],
    ids=["422", "400", "500 that says 400"],
)
def test_what_is_refused_for_good_is_not_sent_twice(log: Log, server: Backend, make, refusal: tuple) -> None:
    """A permanent answer is written down, and all goes on; after a restart it is not tried again."""
    seal(
        log,
        make,
        [run_event("bad", "START"), run_event("bad", "COMPLETE"), run_event("ok", "START", "other")],
    )
    answering(server, "bad", refusal, TAKEN)
    assert {"refused": 1, "sent": 2} == relay(log, server)[1]
    (found,) = standings(log, server.url, 9)
    assert ("local/0/0", "refused") == (found["aside"][0]["record"], found["aside"][0]["outcome"])
    assert str(refusal[0]) in found["aside"][0]["why"]
    assert {} == relay(log, server)[1]
    assert 3 == len(server.got)


@pytest.mark.parametrize("trouble", [PAGE, (503, b"", {}), (429, b"", {}), (408, b"", {})])
def test_what_may_pass_is_tried_again_in_its_place(log: Log, server: Backend, make, trouble: tuple) -> None:
    """After trouble that ends the event is taken, before what comes behind it."""
    seal(log, make, [run_event("a", "START"), run_event("a", "COMPLETE")])
    answering(server, "a", trouble, trouble, TAKEN)
    made, found = relay(log, server)
    assert ({"sent": 2}, 2) == (found, made.status.failures)
    assert ["START", "START", "START", "COMPLETE"] == [state for _, state in server.said]
    assert made.status.failing_since is None


def test_an_event_that_always_fails_is_refused_where_the_backend_is_well(
    log: Log, server: Backend, make
) -> None:
    """A bare 500 five times from a backend that answers other questions is about the event."""
    seal(log, make, [run_event("bad", "START"), run_event("bad", "COMPLETE")])
    answering(server, "bad", *[PAGE] * delivery.UNCLEAR_ATTEMPTS, TAKEN)
    assert {"refused": 1, "sent": 1} == relay(log, server)[1]
    assert ["/api/v1/namespaces/default"] == server.asked


def test_a_backend_whose_database_is_away_refuses_nothing(log: Log, server: Backend, make) -> None:
    """While it is ill a bare 500 is waited out, however often it comes."""
    seal(log, make, [run_event("a", "START"), run_event("b", "START", "other")])
    server.well = 500
    answers = [PAGE] * 30
    server.answer = lambda _: answers.pop() if answers else TAKEN
    made, found = relay(log, server)
    assert ({"sent": 2}, 30) == (found, made.status.failures)


def test_a_backend_that_stays_away_ends_a_single_relay(
    log: Log, server: Backend, make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its patience the relay says what it was answered; what was taken before is not sent again."""
    monkeypatch.setattr(delivery, "PATIENCE_S", 0.1)
    monkeypatch.setattr("modeltrail_collector.relay.forward.PATIENCE_S", 0.1)
    seal(log, make, [run_event("a", "START"), run_event("b", "START"), run_event("b", "COMPLETE")])
    answering(server, "b", (503, b"full", {}))
    with pytest.raises(Unavailable, match=r"nothing was taken .* answered 503 full"):
        relay(log, server)
    assert 1 == position(log, server)
    server.answer = lambda _: TAKEN
    assert {"sent": 2} == relay(log, server)[1]


def test_a_wrong_address_or_key_ends_it_at_once(log: Log, server: Backend, make) -> None:
    """Where no event was ever taken, 401 and 404 are about the settings; nothing is refused or passed."""
    seal(log, make, [run_event("a", "START")])
    for status in (401, 403, 404, 302):
        server.answer = lambda _, status=status: (status, b"", {})
        with pytest.raises(ConfigError, match=f"answered {status}.*MODELTRAIL_RELAY_API_KEY"):
            relay(log, server)
    assert 0 == position(log, server)


def test_it_waits_as_long_as_it_is_told(log: Log, server: Backend, make) -> None:
    """Retry-After is kept."""
    seal(log, make, [run_event("a", "START")])
    answering(server, "a", (429, b"", {"Retry-After": "1"}), TAKEN)
    relay(log, server)
    first, second = server.got
    assert 1 <= second.began - first.ended < 5


def test_no_more_are_sent_than_the_rate(log: Log, server: Backend, make) -> None:
    """So many events a second, over all connections."""
    seal(log, make, [run_event(f"r{n}", "START", f"job{n}") for n in range(11)])
    started = time.monotonic()
    relay(log, server, rate=50)
    assert max(request.began for request in server.got) - started >= 0.2


def test_the_position_waits_for_the_slowest(log: Log, server: Backend, make) -> None:
    """Stopped while the first event is under way, nothing behind it counts as settled: all goes again."""
    seal(
        log, make, [run_event("slow", "START", "slow"), *(run_event(f"r{n}", "S", f"j{n}") for n in range(9))]
    )
    stop = threading.Event()
    answering(server, "slow", (503, b"", {}))
    made = Relay(log, http.Backend(server.url), for_ever=True)

    def end_it() -> None:
        wait_for(lambda: made.status.under_way and len({run for run, _ in server.said}) == 10)
        stop.set()

    threading.Thread(target=end_it).start()
    assert {} == made.turn(stop)
    assert 0 == position(log, server)
    server.answer = lambda _: TAKEN
    server.got.clear()
    assert {"sent": 10} == relay(log, server)[1]


def test_what_a_stopped_turn_read_is_no_repeat(log: Log, server: Backend, make) -> None:
    """The same relay sends in its next turn what it had read, and could not send, in the one before."""
    seal(log, make, [run_event("a", "START")])
    made, _ = relay(log, server, for_ever=True)
    seal(log, make, [run_event("a", "COMPLETE")])
    stop = threading.Event()

    def away(_: bytes) -> tuple:
        stop.set()
        return 503, b"", {}

    server.answer = away
    assert {} == made.turn(stop)
    server.answer = lambda _: TAKEN
    assert {"sent": 1} == made.turn(threading.Event())


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_failing_store_loses_nothing_and_takes_nothing_for_a_repeat(
    log: Log, server: Backend, make
) -> None:
    """Turns that fail half way, with unknown outcome, are repeated by the same relay until all is there."""
    for block in range(8):
        seal(log, make, [run_event(f"r{n}", f"S{block}", f"job{n}") for n in range(5)])
    log.store.faults, log.store.rate = random.Random(3), 0.1
    made = Relay(log, http.Backend(server.url))
    failed = 0
    for _ in range(500):
        try:
            made.turn(threading.Event())
        except Unavailable:
            failed += 1
        else:
            break
    log.store.rate = 0
    assert 0 < failed < 500
    assert {} == made.turn(threading.Event())
    assert 40 == len(set(server.said))
    for n in range(5):
        assert "S7" == [state for run, state in server.said if run == f"r{n}"][-1]


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_each_run_ends_as_in_the_log(log: Log, server: Backend, make, seed: int) -> None:
    """Refusals for now, stops, new processes, a store that fails, records that come meanwhile."""
    chance, number, last = random.Random(seed), itertools.count(), {}
    answers = [TAKEN] * 8 + [PAGE, (503, b"", {}), (429, b"", {})]
    server.well, server.answer = 500, lambda _: chance.choice(answers)
    server.delay = lambda: chance.uniform(0, 0.003)
    for arrived in range(12):
        for partition in (P0, P1, LOCAL):
            jobs = [f"{partition.topic}{partition.partition}-{chance.randrange(4)}" for _ in range(5)]
            events = [run_event(job, f"S{next(number)}", job) for job in jobs]
            seal(log, make, events, partition, ingested_at_ms=arrived)
            last |= {event["run"]["runId"]: event["eventType"] for event in events}
        log.store.faults, log.store.rate = chance, 0.05
        stop = threading.Event()
        threading.Timer(chance.uniform(0, 0.1), stop.set).start()
        with contextlib.suppress(Unavailable):
            Relay(log, http.Backend(server.url), connections=chance.randint(1, 6), for_ever=True).turn(stop)
        log.store.faults = None
    Relay(log, http.Backend(server.url), for_ever=True).turn(threading.Event())
    assert last == dict(server.said)
    assert {f"S{n}" for n in range(next(number))} == {state for _, state in server.said}


def test_what_retention_removed_is_counted(log: Log, server: Backend, make) -> None:
    """Records that are gone before they were sent are passed, and told; what is left goes."""
    for day, run in ((0, "a"), (1, "b"), (100, "c")):
        log.wall = lambda day=day: wall_ms() + day * DAY_MS
        seal(log, make, [run_event(run, "START"), run_event(run, "COMPLETE")])
    maintain(log, keep=timedelta(days=50))
    assert {"removed": 2, "sent": 4} == relay(log, server)[1]
    assert ["b", "b", "c", "c"] == [run for run, _ in server.said]


def test_loads_wait_for_room_and_a_failure_is_told() -> None:
    """No more is taken than fits, by number and by bytes; what a thread raises is raised by who fills it."""

    def work(load: Parcel) -> None:
        assert go_on.wait(30)
        if load.lane == "bad":
            raise Unavailable("no")
        load.settle("sent")

    def load(lane: str, body: bytes = b"") -> Parcel:
        return Parcel(Place(LOCAL, 0), 1, 0, lane=lane, body=body)

    go_on = threading.Event()
    full = Lanes(2, work)
    assert full.put(load("a", b"x" * lanes.MOST_WAITING_BYTES), 0)
    assert not full.put(load("b"), 0.05)
    many = Lanes(2, work)
    assert all(many.put(load(str(n)), 0) for n in range(lanes.MOST_WAITING))
    assert not many.put(load("one more"), 0)
    go_on.set()
    assert full.put(load("b"), 30)
    assert full.wait(30)
    assert many.wait(30)
    assert many.put(load("bad"), 30)
    with pytest.raises(Unavailable):
        many.wait(30)
    for each in (full, many):
        each.close(30)

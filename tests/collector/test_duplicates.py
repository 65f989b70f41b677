"""A producer that sends events again: every copy is in the log, the answers count each event once."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from modeltrail_collector import answers
from modeltrail_collector.intake.kafka import Connection, KafkaSource
from modeltrail_collector.log import Log, open_log, rollup, verify
from modeltrail_collector.log.rollup import RollUp
from modeltrail_collector.pump import Limits, Pump
from modeltrail_collector.tables import compact, rebuild

pytestmark = pytest.mark.kafka

DERIVED = ("runs", "run_datasets", "edges", "params", "metrics", "models", "deployments", "changes")


@pytest.fixture
def collected(kafka_bootstrap: str, kafka_topic, tmp_path: Path) -> Callable[..., Log]:
    """A log of records (partition, value) that went through the broker, in segments of five."""
    from kafka import KafkaProducer

    def collected(name: str, *batches: list[tuple[int, bytes]]) -> Log:
        topic, log = kafka_topic(2), open_log(tmp_path / name)
        for batch in batches:
            producer = KafkaProducer(bootstrap_servers=kafka_bootstrap)
            for partition, value in batch:
                producer.send(topic, value, key=b"k", partition=partition).get(30)
            producer.close()
            source = KafkaSource(Connection(kafka_bootstrap, topic, name), (0, 1))
            pump = Pump(source, log, until_end=True, limits=Limits(rows=5, poll_s=0.1))
            while not pump.done:
                pump.turn()
            source.close()
            compact(log)
        return log

    return collected


def derived(log: Log) -> dict[str, list[str]]:
    """All rows of the tables that say something about runs and models, but for when they heard of them."""
    rows = {name: answers.sql(log, f"SELECT * FROM {name}") for name in DERIVED}
    return {name: sorted(map(_without_arrival, found)) for name, found in rows.items()}


def _without_arrival(row: dict[str, object]) -> str:
    return json.dumps({key: value for key, value in row.items() if not key.endswith("ingested_at")})


def test_events_sent_again_count_once(make, collected, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each copy is a marked event; answers are those of a log without copies, also after a roll-up."""
    events = [json.dumps(event).encode() for event in make.story()]
    chance = random.Random(14)
    once = [(number % 2, event) for number, event in enumerate(events)]
    again = [(chance.randrange(2), event) for event in events for _ in range(chance.randrange(3))]
    reordered = [(0, json.dumps(json.loads(event), sort_keys=True).encode()) for event in events[:4]]
    twice = [pair for pair in once[:6] for _ in range(2)]

    plain = collected("plain", once[:6], once[6:])
    copies = collected("copies", twice, once[6:] + again, reordered)

    sent = len(twice) + len(once[6:]) + len(again) + len(reordered)
    (counts,) = answers.sql(
        copies,
        "SELECT count(*) AS events, sum(duplicate::INT) AS copies, count(DISTINCT digest) AS different "
        "FROM events",
    )
    assert {"events": sent, "copies": sent - len(events), "different": len(events)} == counts
    firsts = "SELECT digest FROM events WHERE NOT duplicate GROUP BY digest HAVING count(*) <> 1"
    assert [] == answers.sql(copies, firsts)
    late = (
        "SELECT * FROM events AS a JOIN events AS b USING (digest) WHERE a.duplicate AND NOT b.duplicate "
        "AND a.ingested_at < b.ingested_at"
    )
    assert [] == answers.sql(copies, late)
    expected = derived(plain)
    assert all(expected.values())
    assert expected == derived(copies)

    monkeypatch.setattr(rollup, "FEW", 2)
    before = sum(len(list(copies.segments(partition))) for partition in copies.partitions())
    for partition in copies.partitions():
        with copies.store.lease("raw") as lease:
            RollUp(copies, partition, lease, lambda _: None).run()
    assert sum(len(list(copies.segments(partition))) for partition in copies.partitions()) < before
    rebuild(copies)
    assert expected == derived(copies)
    assert verify(copies).ok

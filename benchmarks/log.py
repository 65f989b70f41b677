"""Topic -> sealed log, on a real broker."""

import pickle
from collections.abc import Callable
from pathlib import Path

from benchmarks import broker
from benchmarks.harness import Prepare, Side, Table, compare

NAIVE_EVENTS = 300


def tables(corpora: dict[str, Path], event_bytes: dict[str, float], *, rounds: int) -> list[Table]:
    """One table for each corpus."""
    found = []
    with broker.broker() as servers:
        for variant, path in corpora.items():
            records = pickle.loads(path.read_bytes())
            few = records[:NAIVE_EVENTS]
            whole = {"servers": servers, "topic": broker.fill(servers, records), "count": len(records)}
            start = {"servers": servers, "topic": broker.fill(servers, few), "count": len(few)}
            sides = [
                Side("modeltrail: collect (judged, hashed, sealed, exactly once)", f"{__name__}:ours", whole),
                Side(
                    "good Python: confluent + jsonschema-rs + fastavro", "benchmarks.peers:good_python", whole
                ),
                Side(
                    f"naive: kafka-python + jsonschema ({len(few)} events)", "benchmarks.peers:naive", start
                ),
                Side("ceiling: the same stages, nothing kept", "benchmarks.peers:ceiling", whole),
            ]
            what = f"topic -> log, {variant} corpus"
            found.append(compare("log", what, sides, rounds=rounds, event_bytes=event_bytes[variant]))
    return found


def ours(servers: str, topic: str, count: int) -> Prepare:
    """What `modeltrail collect --until-end` does, once it is connected."""
    import gc

    from modeltrail_collector.intake.kafka import Connection, KafkaSource
    from modeltrail_collector.log import open_log
    from modeltrail_collector.pump import Pump
    from modeltrail_collector.pump.run import GC_THRESHOLD

    def prepare(directory: Path) -> Callable[[], int]:
        source = KafkaSource(Connection(servers, topic, directory.name), share=(0, 1))
        pump = Pump(source, open_log(directory), until_end=True)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)

        def work() -> int:
            while not pump.done:
                pump.turn()
            source.close()
            if pump.totals.records != count:
                raise AssertionError(f"{count} events in the topic, sealed: {pump.totals}")
            return count

        return work

    return prepare

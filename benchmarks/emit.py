"""Facts -> the bytes of an event, and an event -> acknowledged by the broker."""

import json
from pathlib import Path

from benchmarks import broker, construct, corpus
from benchmarks.harness import Prepare, Side, Table, compare

SAMPLE = 200
SENT = 200


def tables(corpora: dict[str, Path], _event_bytes: dict[str, float], *, rounds: int) -> list[Table]:
    """Construction for an ML COMPLETE event and for the mix, then both transports."""
    del corpora
    found = []
    for label, family in (("an ML COMPLETE event", "ml"), ("the mixed corpus", None)):
        chosen = {"family": family}
        sides = [
            Side("modeltrail: facets, event, wire", f"{__name__}:ours", chosen),
            Side("openlineage-python: attrs classes, Serde.to_json", f"{__name__}:stock", chosen),
        ]
        size = _mean_bytes(family)
        what = f"facts -> bytes, {label}, mean {size:.0f} bytes"
        found.append(compare("emit", what, sides, rounds=rounds, event_bytes=size))
    with broker.broker() as servers:
        sides = [
            Side("modeltrail: KafkaTransport, sync", f"{__name__}:our_transport", {"servers": servers}),
            Side(
                "openlineage-python: kafka transport, flush",
                f"{__name__}:stock_transport",
                {"servers": servers},
            ),
        ]
        size = _mean_bytes("ml")
        found.append(
            compare(
                "emit", "an ML event -> acknowledged, one at a time", sides, rounds=rounds, event_bytes=size
            )
        )
    return found


def _events(family: str | None) -> list[dict]:
    """The sample, all of it in modeltrail's name, so that its own functions can make each facet."""
    from modeltrail.facets import PRODUCER

    def own(value: object) -> object:
        if isinstance(value, dict):
            return {k: PRODUCER if k in {"_producer", "producer"} else own(v) for k, v in value.items()}
        return [own(item) for item in value] if isinstance(value, list) else value

    chosen = (
        event
        for name, event in corpus.events("mixed", SAMPLE * 10)
        if family is None or (name == family and event["eventType"] == "COMPLETE")
    )
    return [own(event) for event, _ in zip(chosen, range(SAMPLE), strict=False)]


def _mean_bytes(family: str | None) -> float:
    events = _events(family)
    return sum(len(corpus.encode(event)) for event in events) / len(events)


def _check(event: dict, written: bytes | str) -> None:
    """Both sides must say the same, or the comparison says nothing."""
    if construct.significant(json.loads(written)) != construct.significant(event):
        raise AssertionError(f"not the same event: {written[:500]!r} ...")


def ours(family: str | None) -> Prepare:
    from modeltrail import wire

    events = _events(family)
    builders = [construct.ours(event) for event in events]
    for event, build in zip(events, builders, strict=True):
        _check(event, wire.encode(build()))

    def work() -> int:
        for build in builders:
            wire.encode(build())
        return len(builders)

    return lambda _directory: work


def stock(family: str | None) -> Prepare:
    from openlineage.client.serde import Serde

    events = _events(family)
    builders = [construct.stock(event) for event in events]
    for event, build in zip(events, builders, strict=True):
        _check(event, Serde.to_json(build()))

    def work() -> int:
        for build in builders:
            Serde.to_json(build()).encode()
        return len(builders)

    return lambda _directory: work


def our_transport(servers: str) -> Prepare:
    from modeltrail import transports, wire
    from modeltrail.settings import current

    events = [construct.ours(event)() for event in _events("ml")[:SENT]]

    def prepare(directory: Path):
        options = {"type": "modeltrail.KafkaTransport", "topic": broker.create_topic(servers)}
        options["config"] = {"bootstrap.servers": servers}
        import msgspec

        sender = transports.make(msgspec.structs.replace(current(), transport=options, spool=directory))
        sender.send(wire.key(events[0]), wire.encode(events[0]))  # connects

        def work() -> int:
            for event in events:
                sender.send(wire.key(event), wire.encode(event))
            return len(events)

        return work

    return prepare


def stock_transport(servers: str) -> Prepare:
    from openlineage.client.transport.kafka import KafkaConfig, KafkaTransport

    events = [construct.stock(event)() for event in _events("ml")[:SENT]]

    def prepare(_directory: Path):
        transport = KafkaTransport(
            KafkaConfig(config={"bootstrap.servers": servers}, topic=broker.create_topic(servers), flush=True)
        )
        transport.emit(events[0])

        def work() -> int:
            for event in events:
                transport.emit(event)
            return len(events)

        return work

    return prepare

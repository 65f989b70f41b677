"""`modeltrail doctor`: will events get where they should, and if not, why."""

import importlib.util
import json
import socket
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import click
import msgspec

from modeltrail import settings, transports
from modeltrail.cli import configured, topic
from modeltrail.errors import ConfigError, DeliveryError
from modeltrail.transports import producer
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.local import local_directory
from modeltrail.transports.spool import backlog, collect_command
from modeltrail_schemas.words import counted

EXIT_NO, EXIT_UNREACHABLE = 1, 4
CHECKS = "modeltrail.checks"
COLLECTOR = ("fastavro", "pyarrow", "deltalake", "duckdb", "obstore", "rich")


class Check(msgspec.Struct, frozen=True):
    """One line of the answer.

    Attributes:
        name: What was looked at.
        state: "fail" loses or delays events, "warn" may, later.
        found: What was seen.
        advice: What to do; "" when nothing.
        unreachable: A receiver does not answer.
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""
    unreachable: bool = False


@click.command()
@click.option("--log", metavar="URI", help="The log to look at.  [default: MODELTRAIL_LOG, or ./lineage]")
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="The brokers to collect from.")
@click.option("--topic", help="The topic to collect.  [default: as configured]")
@click.option("--group", help="The consumer group to collect with.  [default: modeltrail]")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def doctor(context: click.Context, /, as_json: bool, **where: str | None) -> None:
    """Check that events get where they should, and say what is wrong and how to mend it.

    Looks at the configuration, transport, topic, spool and disk of what emits; where the collector is
    installed also at what it needs: brokers, topic, group, codecs, clocks, the log's store, the log and the
    tables. A trial object is written to the store and removed again; nothing is written to Kafka.

    Exit code 0: nothing fails. 1: something does. 4: what should take the events cannot be reached.

    \b
    modeltrail doctor
    modeltrail doctor --bootstrap-servers localhost:9092 --log s3://ml/lineage
    OPENLINEAGE_CONFIG=prod.yml modeltrail doctor --json
    """
    checks = [*examine(), *_installed(where)]
    if as_json:
        shown = ("name", "state", "found", "advice")
        click.echo(json.dumps([{name: getattr(check, name) for name in shown} for check in checks]))
    else:
        for check in checks:
            click.echo(f"{check.state:<5} {check.name:<15} {check.found}")
            if check.advice:
                click.echo(f"{'':<21} -> {check.advice}")
    if any(check.unreachable for check in checks):
        context.exit(EXIT_UNREACHABLE)
    if any(check.state == "fail" for check in checks):
        context.exit(EXIT_NO)


def examine() -> Iterator[Check]:
    """All checks, in the order in which an event meets what they look at."""
    found, check = _configuration()
    yield check
    if found is None:
        return
    if found.disabled:
        yield Check(
            "disabled", "warn", f"set by {found.origins['disabled']}", "unset it to have events emitted"
        )
    for member in configured.members(found.transport or {"type": "modeltrail.LocalTransport"}):
        yield from _transport(member, found)
    yield _spool(found)
    yield _crc32c()
    yield _collector()


def _installed(where: Mapping[str, str | None]) -> Iterator[Any]:
    """The checks of other installed parts: they have the fields of `Check`."""
    for found in sorted(entry_points(group=CHECKS)):
        try:
            checks = found.load()
            yield from checks(**where)
        except ModuleNotFoundError:
            continue  # without its extra; `_collector` says so


def _configuration() -> tuple[settings.Settings | None, Check]:
    """Read strictly what else is read leniently."""
    before = settings.overridden("strict")
    settings.configure(strict=True)
    try:
        found = settings.current()
        if found.transport is not None:
            transports.make(found).close(0)
    except ConfigError as error:
        return None, Check(
            "configuration", "fail", str(error), "modeltrail config shows where each value comes from"
        )
    finally:
        settings.configure(strict=before)
    kind = found.transport["type"] if found.transport else "the local inbox"
    return found, Check("configuration", "ok", f"events go to {kind} (from {found.origins['transport']})")


def _transport(transport: Mapping[str, Any], found: settings.Settings) -> Iterator[Check]:
    if transport["type"] in transports.LOCAL_TYPES:
        yield _writable("inbox", local_directory(transport, found))
    elif configured.is_kafka(transport):
        yield from _kafka(KafkaOptions.from_dict(transport, found), found.max_event_bytes)
    elif isinstance(transport.get("url"), str):
        yield _reachable(transport["type"], transport["url"])
    else:
        yield Check(transport["type"], "ok", "can be made; nothing more is known of this type")


def _kafka(options: KafkaOptions, max_event_bytes: int) -> Iterator[Check]:
    servers = options.producer["bootstrap_servers"]
    try:
        with producer.administration(options) as admin:
            yield Check("broker", "ok", f"{servers} answers")
            described = topic.describe(admin, options.topic)
            if described is None:
                advice = f"modeltrail topic create --topic {options.topic}"
                yield Check("topic", "fail", f"{options.topic} does not exist", advice)
                return
            shown = topic.topic_settings(admin, options.topic)
            faults = topic.weaknesses(shown, min(max_event_bytes, options.max_event_bytes))
    except DeliveryError as error:
        advice = "check bootstrap.servers and the security settings; events go to the spool meanwhile"
        yield Check("broker", "fail", str(error), advice, unreachable=True)
        return
    for fault in faults:
        yield Check("topic", "fail" if "compact" in fault else "warn", options.topic, fault)
    if not faults:
        yield Check(
            "topic",
            "ok",
            f"{options.topic}, id {described['topic_id']}, "
            f"{counted(len(described['partitions']), 'partition')}",
        )


def _reachable(kind: str, url: str) -> Check:
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError as error:
        where = f"{address[0]}:{address[1]}"
        return Check(
            kind, "fail", f"{where} does not answer: {error}", "is its server running?", unreachable=True
        )
    return Check(kind, "ok", f"{address[0]}:{address[1]} answers")


def _writable(name: str, directory: Path) -> Check:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"x")
    except OSError as error:
        return Check(
            name,
            "fail",
            f"{directory} cannot be written: {error}",
            "set MODELTRAIL_LOG to a directory of yours",
        )
    return Check(name, "ok", f"{directory} can be written")


def _spool(found: settings.Settings) -> Check:
    try:
        waiting = backlog(found.spool)
    except OSError as error:
        return Check("spool", "fail", f"{found.spool} cannot be read: {error}", "set MODELTRAIL_SPOOL")
    if waiting.events:
        size = f"({waiting.bytes:,} bytes) {'waits' if waiting.events == 1 else 'wait'}"
        text = f"{counted(waiting.events, 'undelivered event')} {size} in {found.spool}"
        return Check("spool", "warn", text, "modeltrail spool flush")
    if waiting.refused:
        text = f"{counted(waiting.refused, 'event')} that Kafka does not take in {found.spool}"
        return Check("spool", "warn", text, collect_command(found.spool))
    return Check("spool", "ok", f"nothing waits in {found.spool}")


def _crc32c() -> Check:
    if importlib.util.find_spec("crc32c") is None:
        return Check("crc32c", "fail", "not installed: kafka-python is 20 times slower", "pip install crc32c")
    return Check("crc32c", "ok", "installed")


def _collector() -> Check:
    missing = [name for name in COLLECTOR if importlib.util.find_spec(name) is None]
    if missing:
        advice = "where events are collected: pip install 'modeltrail[collector]'"
        return Check("collector", "ok", f"not installed here ({', '.join(missing)} missing)", advice)
    return Check("collector", "ok", "installed")

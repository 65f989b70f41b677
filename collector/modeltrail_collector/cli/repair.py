"""`modeltrail repair`: collect again what is damaged in the log."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows
from modeltrail_schemas.words import counted

if TYPE_CHECKING:
    from modeltrail_collector.intake import Source
    from modeltrail_collector.pump.repair import Outcome

COLUMNS = ("topic", "partition", "first_offset", "next_offset", "outcome", "records", "problem")


@click.command()
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="The Kafka cluster.")
@click.option("--topic", help="Repair only this topic.  [default: all]")
@log_option
@click.option("--strict", is_flag=True, help="Reject what would only be warned about.")
@click.option(
    "--write-off",
    is_flag=True,
    help="Make a gap, with the reason `damaged`, of what Kafka does not have any more.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be repaired, and change nothing.")
@json_option
def repair(
    bootstrap_servers: str | None,
    topic: str | None,
    log_uri: str,
    *,
    strict: bool,
    write_off: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Collect again from Kafka what is damaged in the log.

    Reads the whole log, and each range of offsets whose segment is corrupt, torn or missing once more from
    the topic. The damaged file is kept beside the new one, whose header says that it is a repair; `modeltrail
    verify` names it from then on. What Kafka does not have any more is left as it is, and named. Collectors
    may run meanwhile. Exit code 1 if something is left damaged.

    \b
    modeltrail repair --bootstrap-servers localhost:9092 --dry-run
    modeltrail repair --bootstrap-servers localhost:9092
    modeltrail repair --write-off
    """
    from modeltrail_collector.log import open_log
    from modeltrail_collector.pump.recollect import Recollector
    from modeltrail_collector.pump.repair import repair as repair_log

    log = open_log(log_uri)
    log.must_exist()
    partitions = [found for found in log.partitions() if topic in {None, found.topic}]
    recollector = Recollector(_connect(bootstrap_servers), strict=strict)
    try:
        outcomes = list(repair_log(log, recollector, partitions, write_off=write_off, dry_run=dry_run))
    finally:
        recollector.close()
    if as_json:
        print_json(outcomes)
    else:
        rows = [{name: getattr(outcome, name) for name in COLUMNS} for outcome in outcomes]
        print_rows(rows, COLUMNS, nothing=f"Nothing is damaged in {log.uri}.")
    for outcome in outcomes:
        _tell(outcome)
    return 1 if any(outcome.outcome == "not repaired" for outcome in outcomes) else 0


def _connect(bootstrap_servers: str | None) -> "Callable[[str], Source]":
    """Kafka is looked for only when something has to be read from it."""

    def connect(topic: str) -> "Source":
        from modeltrail_collector.config import kafka_config
        from modeltrail_collector.intake.kafka import Connection, KafkaSource

        config = kafka_config(bootstrap_servers, topic)
        servers = config.bootstrap_servers.value
        return KafkaSource(Connection(servers, topic, config.group.value, config.options), (0, 1))

    return connect


def _tell(outcome: "Outcome") -> None:
    where = f"topic {outcome.topic}, partition {outcome.partition}, {_offsets(outcome)}"
    if outcome.message:
        click.echo(f"modeltrail: {where}: {outcome.message}", err=True)
    if outcome.outcome == "repaired" and outcome.lost:
        lost = counted(sum(gap.next_offset - gap.first_offset for gap in outcome.lost), "offset", "is", "are")
        click.echo(f"modeltrail: {where}: {lost} written off as damaged", err=True)
    if outcome.evidence:
        click.echo(f"modeltrail: {where}: the damaged file is kept as {outcome.evidence}", err=True)


def _offsets(outcome: "Outcome") -> str:
    if outcome.next_offset is None:
        return f"offset {outcome.first_offset} on"
    return f"offsets {outcome.first_offset} to {outcome.next_offset - 1}"

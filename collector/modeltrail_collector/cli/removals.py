"""`modeltrail removals`: what retention took from the log."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows

if TYPE_CHECKING:
    from modeltrail_collector.log.account import RemovalReport

COLUMNS = (
    *("topic", "partition", "first_offset", "next_offset", "records", "removed_at", "removed_by"),
    *("sealed_before", "signed_by"),
)


def removal_line(removal: "RemovalReport") -> str:
    """A removal in a sentence for people."""
    if removal.trusted:
        signed = "signed by the trusted key"
    elif removal.signed_by:
        signed = (
            f"signed by the key {removal.signed_by[:16]}… (not checked without --trust KEY, or not that one)"
        )
    else:
        signed = "not signed"
    unfinished = "" if removal.finished else "; not all of it is gone yet: `modeltrail maintain` finishes it"
    return (
        f"offsets {removal.first_offset} to {removal.next_offset - 1}: their records were removed by "
        f"retention on {removal.removed_at} by {removal.removed_by}, {removal.records:,} of them, sealed "
        f"before {removal.sealed_before}; the record of it is {signed}{unfinished}"
    )


@click.command()
@log_option
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="KEY",
    help="The Ed25519 public key (PEM) that must have signed each record.",
)
@json_option
def removals(log_uri: str, trust: Path | None, *, as_json: bool) -> int:
    """List what retention removed from the log, by the records of it.

    Reads the records only, which `modeltrail maintain --keep-raw` leaves: what was removed, when, by which
    rule and by whom. Whether the log is as they say, `modeltrail verify` proves. Exit code 1 if a record was
    altered or is missing, or is not signed by the key to be trusted.

    \b
    modeltrail removals
    modeltrail removals --trust public.pem --json
    """
    from modeltrail_collector.log import open_log
    from modeltrail_collector.log.account import Account
    from modeltrail_collector.log.signing import public_key

    log = open_log(log_uri)
    log.must_exist()
    trusted = public_key(trust) if trust else None
    rows, problems = [], []
    for partition in log.partitions():
        account = Account(log, partition)
        where = {"topic": partition.topic, "topic_id": partition.topic_id, "partition": partition.partition}
        rows += [where | _fields(removal) for removal in account.told(trusted)]
        problems += [
            f"topic {partition.topic}, partition {partition.partition}, {problem}"
            for problem in account.judged((), trusted)
        ]
    if as_json:
        print_json({"log": log.uri, "removals": rows, "problems": problems})
    else:
        print_rows(rows, COLUMNS, nothing=f"Nothing was removed from {log.uri}.")
    for problem in problems:
        click.echo(f"modeltrail: {problem}", err=True)
    return 1 if problems else 0


def _fields(removal: "RemovalReport") -> dict[str, object]:
    return {name: getattr(removal, name) for name in removal.__struct_fields__}

"""`modeltrail verify`: is the log what was sealed?"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows
from modeltrail_collector.cli.removals import removal_line
from modeltrail_collector.errors import ConfigError

if TYPE_CHECKING:
    from modeltrail_collector.log import Report
    from modeltrail_collector.log.heads import Heads
    from modeltrail_collector.log.walk import PartitionReport

COLUMNS = ("topic", "partition", "segments", "records", "next_offset", "chain_end", "answer")
EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@log_option
@click.option(
    "--write-head",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write where every chain ends, to be kept elsewhere and compared with later.",
)
@click.option("--sign", type=EXISTING, metavar="KEY", help="Sign it with this Ed25519 private key (PEM).")
@click.option(
    "--head",
    type=EXISTING,
    metavar="FILE",
    help="Compare with an earlier --write-head: finds a log that was cut short or rolled back.",
)
@click.option(
    "--trust",
    type=EXISTING,
    metavar="KEY",
    help="The Ed25519 public key (PEM) that must have signed the head, and removals it does not list.",
)
@json_option
def verify(
    log_uri: str,
    write_head: Path | None,
    sign: Path | None,
    head: Path | None,
    trust: Path | None,
    *,
    as_json: bool,
) -> int:
    """Prove that nobody changed the log.

    Recomputes the digest of every segment, the hash of every record and every link of every chain. Finds any
    edit, removal, insertion or reorder; with --head also a log whose end was cut off, and what was repaired
    or removed on purpose since. What retention removed is told as the records of it say; a removal without a
    sound record is found, and with --trust one whose record that key has not signed. Others may collect,
    maintain and repair meanwhile. Exit code 1 if anything is not as it was sealed, or as the head says.

    \b
    modeltrail verify
    modeltrail verify --write-head head.json      keep head.json where the log's owner cannot change it
    modeltrail verify --head head.json
    modeltrail verify --write-head head.json --sign key.pem
    modeltrail verify --head head.json --trust public.pem
    modeltrail verify --trust public.pem

    \b
    Keys: openssl genpkey -algorithm ed25519 -out key.pem
          openssl pkey -in key.pem -pubout -out public.pem
    """
    from modeltrail_collector.log import open_log
    from modeltrail_collector.log import verify as verify_log
    from modeltrail_collector.log.heads import write_heads
    from modeltrail_collector.log.signing import private_key, public_key

    if sign and not write_head:
        raise ConfigError("--sign goes with --write-head FILE")
    key = private_key(sign) if sign else None
    log = open_log(log_uri)
    if not head:  # else that it is gone is the answer
        log.must_exist()
    earlier = _earlier(head, trust).heads if head else ()
    report = verify_log(log, earlier, trusted=public_key(trust) if trust else None)
    if write_head and report.ok:
        write_head.write_bytes(write_heads(report.log, report.heads(), key))
    _tell(report, as_json=as_json)
    if write_head and not report.ok:
        click.echo(f"modeltrail: {write_head} is not written: the log is not verified", err=True)
    return 0 if report.ok else 1


def _earlier(file: Path, trust: Path | None) -> "Heads":
    """The heads of a file; says what they prove, and what not."""
    from modeltrail_collector.log.heads import read_heads

    heads = read_heads(file.read_bytes(), trust)
    written = f" of {heads.written_at}, log {heads.log}" if heads.written_at else ""
    if heads.trusted:
        signed = "its signature is the trusted key's"
    elif heads.signed_by:
        signed = f"it is signed, but not checked without --trust KEY (its key is {heads.signed_by[:16]}…)"
    else:
        signed = "it is not signed"
    click.echo(f"modeltrail: compared with {file}{written}: {signed}", err=True)
    return heads


def _tell(report: "Report", *, as_json: bool) -> None:
    if as_json:
        print_json(report)
    else:
        rows = [
            {
                **{name: getattr(found, name) for name in COLUMNS[:-2]},
                "chain_end": found.chain_end[:16],
                "answer": "not verified" if found.problems else "verified",
            }
            for found in report.partitions
        ]
        print_rows(rows, COLUMNS, nothing=f"There are no records in {report.log}.")
    for problem in report.problems:
        click.echo(f"modeltrail: {problem}", err=True)
    for found in report.partitions:
        for line in _also(found):
            click.echo(f"modeltrail: {line}", err=True)
    if not report.ok:
        click.echo("modeltrail: `modeltrail repair` collects again what Kafka still has of damage", err=True)


def _also(found: "PartitionReport") -> Iterator[str]:
    """What is worth knowing of a chain and no problem."""
    where = f"topic {found.topic}, partition {found.partition}"
    for name in found.set_aside:
        yield f"{name} was set aside as damaged and collected again"
    if found.rolled_up:
        yield f"{where}: {found.rolled_up:,} of the {found.segments:,} segments are rolled up"
    if found.unrecorded_before:
        yield (
            f"{where}, offsets 0 to {found.unrecorded_before - 1}: their records were removed by retention, "
            "by a modeltrail that kept no record of it; what is left of their segments says so"
        )
    for removal in found.removals:
        yield f"{where}, {removal_line(removal)}"
    for name in found.unfinished:
        yield f"{name} is not in use yet, or no more: `modeltrail maintain` sees to it"
    for change in found.repaired:
        offsets = f"offsets {change.first_offset} to {change.next_offset - 1}"
        yield f"{where}, {offsets} are repaired: not the original records"

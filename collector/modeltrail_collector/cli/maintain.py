"""`modeltrail maintain`: keep a log small and quick."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows
from modeltrail_collector.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from modeltrail_collector.log.maintenance import Progress, Upkeep

COLUMNS = ("topic", "partition", "rolled_up", "rollups", "records_removed", "removed_before")
LONGEST_S = 36_500 * 86_400


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration(_context: click.Context, _option: click.Parameter, text: str | None) -> timedelta | None:
    """A whole number and a unit, as `365d`."""
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if not (number.isdecimal() and number.isascii() and unit in _UNITS):
        raise click.BadParameter(
            f"{text!r} is no duration: write a whole number and s, m, h, d or w, as 365d"
        )
    seconds = int(number[:12]) * _UNITS[unit]
    if not 0 < seconds <= LONGEST_S or len(number) > 12:
        raise click.BadParameter(f"{text!r} is not between a second and a hundred years")
    return timedelta(seconds=seconds)


@click.command()
@log_option
@click.option(
    "--keep-raw",
    metavar="DURATION",
    callback=duration,
    help="Remove records that were sealed longer ago than this, as 365d or 52w; not given, none are.",
)
@click.option(
    "--keep-tables",
    metavar="DURATION",
    callback=duration,
    help="Forget runs that were last heard of longer ago than this, in all tables; not given, none are.",
)
@click.option(
    "--sign",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="KEY",
    help="Sign the record of what --keep-raw removes with this Ed25519 private key (PEM).",
)
@click.option("--dry-run", is_flag=True, help="Change nothing, say what would be done.")
@json_option
def maintain(
    log_uri: str,
    *,
    keep_raw: timedelta | None,
    keep_tables: timedelta | None,
    sign: Path | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Join small files of the log and of its tables, and remove what is too old.

    The small segments of a day are rolled up into one file, with all that was sealed: the log is read as
    before, and `verify` proves it as before. With --keep-raw the oldest records are removed for good, days at
    a time, never the newest segment, and not before the tables hold them: what these hold stays. A record
    stays of that: `modeltrail removals` lists these, and `verify` checks them. Collectors and readers may go
    on meanwhile. A second one waits for the first, and what is killed is finished by the next. Exit code 1 if
    a segment is damaged: it is left as it is.

    With --keep-tables old runs are forgotten in all tables, for good. Those stay that a model version needs
    which was registered or deployed, or which a younger run speaks of: all that made it, from raw data on.

    \b
    modeltrail maintain
    modeltrail maintain --keep-tables 730d --dry-run
    modeltrail maintain --keep-raw 365d --dry-run
    modeltrail maintain --keep-raw 365d --sign key.pem
    modeltrail maintain --log s3://ml/lineage --keep-raw 365d
    """
    from modeltrail_collector.cli.upkeep import blocked, maintain_tables, said
    from modeltrail_collector.log import maintain as maintain_log
    from modeltrail_collector.log import open_log

    key = _key(sign, keep_raw)
    if not (log := open_log(log_uri)).exists:
        return _nothing(log.uri, as_json=as_json, dry_run=dry_run)
    progress = _progress()
    problems = blocked(log) if keep_raw and not dry_run else []
    keep_raw = None if problems else keep_raw
    done = maintain_log(log, keep=keep_raw, key=key, dry_run=dry_run, on_progress=progress)
    if progress:
        click.echo("\r\x1b[K", nl=False, err=True)
    problems += [problem for upkeep in done for problem in upkeep.problems]
    tables = maintain_tables(log, keep=keep_tables, dry_run=dry_run)
    if as_json:
        print_json({"log": log.uri, "dry_run": dry_run, "raw": done, "tables": tables, "problems": problems})
    else:
        _print(log.uri, done, said(tables, dry_run=dry_run), dry_run=dry_run)
    for problem in problems:
        click.echo(f"modeltrail: {problem}", err=True)
    return 1 if problems else 0


def _nothing(uri: str, *, as_json: bool, dry_run: bool) -> int:
    """Who maintains a log by the clock may be there first; a wrong path must show."""
    click.echo(f"modeltrail: there is no log at {uri}: no records to maintain", err=True)
    if as_json:
        print_json({"log": uri, "dry_run": dry_run, "raw": [], "tables": None, "problems": []})
    return 0


def _key(sign: Path | None, keep_raw: timedelta | None) -> "Ed25519PrivateKey | None":
    from modeltrail_collector.log.signing import private_key

    if sign and not keep_raw:
        raise ConfigError("--sign goes with --keep-raw DURATION: it signs the record of what that removes")
    return private_key(sign) if sign else None


def _print(log_uri: str, done: "list[Upkeep]", lines: list[str], *, dry_run: bool) -> None:
    rows = [{name: getattr(upkeep, name) for name in COLUMNS} for upkeep in done]
    print_rows(rows, COLUMNS, nothing=f"There are no records in {log_uri}.")
    for line in lines:
        click.echo(line)
    if dry_run and done:
        click.echo("modeltrail: a dry run: nothing was changed", err=True)


def _progress() -> "Callable[[Progress], None] | None":
    """One line on a terminal that says where it is; nothing elsewhere."""
    if not sys.stderr.isatty():
        return None

    def tell(step: "Progress") -> None:
        where = f"{step.partition.topic}/{step.partition.partition}"
        click.echo(f"\r\x1b[K{where}: {step.done:,} {step.work}", nl=False, err=True)

    return tell

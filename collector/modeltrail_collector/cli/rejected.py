"""`modeltrail rejected`: the records that broke the contract: which, why, and once more before the judge."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows
from modeltrail_collector.cli.since import since

Function = TypeVar("Function", bound=Callable[..., Any])


def _filters(function: Function) -> Function:
    """`--topic`, `--code` and `--since`."""
    for option in (
        click.option(
            "--since",
            callback=since,
            metavar="TIME",
            help="Only what came since then: 12h, 7d, 2026-03-01, …",
        ),
        click.option(
            "--code", "codes", multiple=True, help="Only with this reason; may be given more than once."
        ),
        click.option("--topic", help="Only from this topic; local for what came from files."),
    ):
        function = option(function)
    return function


@click.group()
def rejected() -> None:
    """Records that were turned away: kept in the log, in no answer.

    \b
    modeltrail rejected list
    modeltrail rejected show openlineage.events/0/17
    modeltrail rejected replay --dry-run
    """


@rejected.command("list")
@_filters
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--by-code", is_flag=True, help="Only how many there are of each reason.")
@log_option
@json_option
def list_(
    log_uri: str,
    *,
    topic: str | None,
    codes: tuple[str, ...],
    since: datetime | None,
    limit: int | None,
    by_code: bool,
    as_json: bool,
) -> None:
    """Every reason of every rejected record, newest first.

    `replayed` says when a record was taken in after all: modeltrail rejected replay.

    \b
    modeltrail rejected list --by-code --since 7d
    modeltrail rejected list --code not_json --limit 20
    modeltrail rejected list --log s3://ml/lineage --json
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli.freshness import warn_if_behind
    from modeltrail_collector.log import open_log

    log = open_log(log_uri)
    log.must_exist()
    if by_code:
        rows = answers.rejected_by_code(log, topic=topic, codes=codes, since=since)[:limit]
        columns: Sequence[str] = ("code", "records", "replayed", "first", "last", "message")
    else:
        rows = answers.rejected_list(log, topic=topic, codes=codes, since=since, limit=limit)
        columns = ("record", "code", "path", "message", "source", "replayed")
    if as_json:
        print_json(rows)
    else:
        filtered = topic or codes or since
        print_rows(
            rows, columns, nothing="No rejected record fits." if filtered else "No record was rejected."
        )
    warn_if_behind(log)


@rejected.command()
@click.argument("record", metavar="TOPIC/PARTITION/OFFSET")
@log_option
@json_option
@click.option("--raw", is_flag=True, help="Write nothing but the record's value, byte for byte.")
def show(record: str, log_uri: str, *, as_json: bool, raw: bool) -> None:
    """One rejected record: where and when, its bytes, why, and what the judge says of it today.

    The name is one that modeltrail rejected list prints. It is read from the log itself. Bytes are shown so
    that they cannot steer the terminal; in JSON they are base64.

    \b
    modeltrail rejected show openlineage.events/0/17
    modeltrail rejected show local/0/3 --raw | jq .
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli import letter
    from modeltrail_collector.log import open_log

    if raw and as_json:
        raise click.UsageError("--raw and --json exclude each other")
    log = open_log(log_uri)
    log.must_exist()
    answer = answers.rejected_record(log, record)
    if raw:
        click.echo(answer["value"] or b"", nl=False)
    elif as_json:
        print_json(answer)
    else:
        letter.print_letter(answer)


@rejected.command()
@click.argument("records", metavar="[TOPIC/PARTITION/OFFSET]...", nargs=-1)
@_filters
@click.option("--strict", is_flag=True, help="Reject what would only be warned about.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@log_option
@json_option
def replay(
    records: tuple[str, ...],
    log_uri: str,
    *,
    topic: str | None,
    codes: tuple[str, ...],
    since: datetime | None,
    strict: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Judge rejected records again, and take in those that pass today.

    For when the schemas, the judge or --strict have changed since. Names choose records; without one it is
    all that the options admit. What passes is appended to the log as a new record, in topic `local`, with its
    old key, headers and time; its `source` names the rejected one, which stays where it is. To replay again,
    or two at once, adds nothing twice. The tables follow with the next modeltrail compact.

    \b
    modeltrail rejected replay --dry-run
    modeltrail rejected replay --code format --since 7d
    modeltrail rejected replay openlineage.events/0/17
    """
    from modeltrail_collector.cli import letter
    from modeltrail_collector.log import open_log, place
    from modeltrail_collector.pump import Wanted
    from modeltrail_collector.pump import replay as replay_

    log = open_log(log_uri)
    log.must_exist()
    wanted = Wanted([place(log, record) for record in records], topic, codes, since)
    result = replay_(log, wanted, strict=strict, dry_run=dry_run)
    if as_json:
        print_json(result)
    else:
        letter.print_replay(result)

"""`modeltrail verify`: is the log what was sealed?"""

from pathlib import Path

import click

from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows

COLUMNS = ("topic", "partition", "segments", "records", "next_offset", "chain_end", "answer")


@click.command()
@log_option
@click.option(
    "--write-head",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write where every chain ends, to be kept elsewhere and compared with later.",
)
@click.option(
    "--head",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Compare with an earlier --write-head: finds a log that was cut short or rolled back.",
)
@json_option
def verify(log_uri: str, write_head: Path | None, head: Path | None, *, as_json: bool) -> int:
    """Prove that nobody changed the log.

    Recomputes the digest of every segment, the hash of every record and every link of every chain. Finds any
    edit, removal, insertion or reorder; with --head also a log whose end was cut off. Exit code 1 if anything
    is not as it was sealed.

    \b
    modeltrail verify
    modeltrail verify --write-head head.json      keep head.json where the log's owner cannot change it
    modeltrail verify --head head.json
    """
    from modeltrail_collector.log import open_log
    from modeltrail_collector.log import verify as verify_log
    from modeltrail_collector.log.verify import read_heads, write_heads

    earlier = read_heads(head.read_bytes()) if head else []
    report = verify_log(open_log(log_uri), earlier)
    if write_head and report.ok:
        write_head.write_bytes(write_heads(report))
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
        for name in found.set_aside:
            click.echo(f"modeltrail: {name} was set aside as damaged and collected again", err=True)
    if write_head and not report.ok:
        click.echo(f"modeltrail: {write_head} is not written: the log is not verified", err=True)
    return 0 if report.ok else 1

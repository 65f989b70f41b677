"""`modeltrail rejected`: the records that broke the contract, and why."""

import click

from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows


@click.group()
def rejected() -> None:
    """Records that were turned away: kept in the log, in no answer.

    \b
    modeltrail rejected list
    modeltrail rejected list --json
    """


@rejected.command("list")
@log_option
@json_option
def list_(log_uri: str, *, as_json: bool) -> None:
    """Every reason of every rejected record, newest first.

    \b
    modeltrail rejected list
    modeltrail rejected list --log s3://ml/lineage --json
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli.freshness import warn_if_behind
    from modeltrail_collector.log import open_log

    log = open_log(log_uri)
    rows = answers.rejected_list(log)
    if as_json:
        print_json(rows)
    else:
        columns = ("topic", "partition", "offset", "code", "path", "message", "source")
        print_rows(rows, columns, nothing="No record was rejected.")
    warn_if_behind(log)

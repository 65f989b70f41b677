"""`modeltrail impact`: what learned from a dataset, and what an erasure comes to."""

from datetime import datetime
from typing import Any

import click

from modeltrail_collector.cli.asking import asking, past_options
from modeltrail_collector.cli.output import json_option, log_option, print_json, print_rows


@click.command()
@click.argument("dataset", metavar="[DATASET[@VERSION]]", required=False)
@log_option
@json_option
@past_options
@click.option("--fingerprint", metavar="DIGEST", help="Only data of this content: its first digits do.")
@click.option("--column", metavar="NAME", help="Only what came of this column, where producers say.")
@click.option(
    "--erase-plan",
    is_flag=True,
    help="Print what is to be retrained or withdrawn so that nothing is left of the data.",
)
def impact(
    dataset: str | None,
    log_uri: str,
    *,
    as_json: bool,
    as_of: datetime | None,
    known_at: datetime | None,
    fingerprint: str | None,
    column: str | None,
    erase_plan: bool,
) -> None:
    """What learned from this data, directly or through others.

    Every run, dataset, model version and endpoint, and since when. A version of the data is what stands in
    its version facet, or the beginning of its fingerprint.

    \b
    modeltrail impact raw/customers.csv
    modeltrail impact raw/customers.csv@2026-03 --column income
    modeltrail impact --fingerprint 9f2c61
    modeltrail impact raw/customers.csv --erase-plan --json
    """
    from modeltrail_collector import answers
    from modeltrail_collector.cli import spread

    if dataset is None and fingerprint is None:
        raise click.UsageError("Name a DATASET, or a --fingerprint.")
    ask = answers.erase_plan if erase_plan else answers.impact
    with asking(log_uri, as_of, known_at) as db:
        rows = ask(db, dataset, fingerprint=fingerprint, column=column)
        if as_json:
            print_json(rows)
        elif erase_plan:
            columns = ("action", "what", "version", "since")
            print_rows([_planned(row) for row in rows], columns, nothing="No model learned from it.")
        else:
            spread.print_spread(dataset or f"data with fingerprint {fingerprint}", rows)


def _planned(row: dict[str, Any]) -> dict[str, Any]:
    from modeltrail_collector.cli import trail

    endpoint = row["kind"] == "endpoint"
    what = f"endpoint {row['endpoint']}" if endpoint else row["registered_name"] or row["name"]
    return {
        "action": row["action"],
        "what": what,
        "version": trail.short(row["version"] or ""),
        "since": trail.time(row["since"]),
    }

"""`modeltrail config`: every setting, and where its value came from."""

import json
from typing import Any

import click

from modeltrail import settings
from modeltrail.observe import redact
from modeltrail.options import OPTIONS


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def config(as_json: bool) -> None:
    """Show every setting, its value and where it came from. Secrets are not shown.

    \b
    modeltrail config
    MODELTRAIL_LOG=/var/lineage modeltrail config --json
    """
    rows = explain(settings.current())
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        value = row["value"] if isinstance(row["value"], str) else json.dumps(row["value"])
        click.echo(f"{row['name']:<18} {value}\n{'':<18} from {row['origin']}: {row['help']}")


def explain(found: settings.Settings) -> list[dict[str, Any]]:
    """One row a setting: name, value, origin, the environment variable that sets it, and a sentence."""
    rows = []
    for option in OPTIONS:
        value = getattr(found, option.name)
        if option.name == "transport":
            value = (
                redact.mapping(value)[0]
                if value
                else {"type": "modeltrail.LocalTransport", "inbox": str(found.inbox)}
            )
        rows.append(
            {
                "name": option.name,
                "value": value if isinstance(value, bool | int | dict) else str(value),
                "origin": found.origins[option.name],
                "env": option.env,
                "help": option.help,
            }
        )
    return rows

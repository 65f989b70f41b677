"""`--since` and `--as-of`: a time, or how long ago."""

from datetime import datetime

import click

from modeltrail_collector.clock import moment


def since(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """`30m`, `12h`, `7d`, `2w`, or a date or time as ISO 8601 writes it (UTC where no zone is given)."""
    if value is None:
        return None
    try:
        return moment(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def then(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """The same of a moment that is looked back to; for `now` there is none, which is answered sooner."""
    return None if value == "now" else since(ctx, param, value)

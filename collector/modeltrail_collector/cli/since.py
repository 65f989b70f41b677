"""`--since`: a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import click

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """`30m`, `12h`, `7d`, `2w`, or a date or time as ISO 8601 writes it (UTC where no zone is given)."""
    if value is None:
        return None
    try:
        if found := re.fullmatch(r"(\d+)\s*([smhdw])", value.strip()):
            return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
        at = datetime.fromisoformat(value)
    except (ValueError, OverflowError) as error:
        message = f"{value!r} is no time: write 30m, 12h, 7d, 2026-03-01 or 2026-03-01T12:00:00Z"
        raise click.BadParameter(message, ctx, param) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)

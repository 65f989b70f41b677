"""What the commands that ask share: the log, the moment, and the word about what is not compacted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from modeltrail_collector.cli.since import then

if TYPE_CHECKING:
    from modeltrail_collector.answers import Database

Function = TypeVar("Function", bound=Callable[..., Any])


def known_at_option(function: Function) -> Function:
    """`--known-at TIME`: by arrival."""
    return click.option(
        "--known-at",
        metavar="TIME",
        callback=then,
        help="What was known then: only what had arrived. 2026-03-01T12:00:00Z, or 12h, 7d ago.",
    )(function)


def past_options(function: Function) -> Function:
    """`--as-of TIME` and `--known-at TIME`: the answer as it was."""
    return click.option(
        "--as-of",
        metavar="TIME",
        callback=then,
        help="What was so then: only what had happened. 2026-03-01T12:00:00Z, or 12h, 7d ago.",
    )(known_at_option(function))


@contextmanager
def asking(
    log_uri: str,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    *,
    far_back: bool = False,
) -> Iterator["Database"]:
    """A handle on the log; at the end it is said on stderr when the tables are behind the log.

    And what they forgot, where something is not found, or the answer goes `far_back`.

    Raises ConfigError where there is no log.
    """
    import modeltrail_collector
    from modeltrail_collector.cli.freshness import warn_if_behind, warn_if_forgotten
    from modeltrail_collector.errors import NotFound

    with modeltrail_collector.open(log_uri, as_of=as_of, known_at=known_at) as db:
        db.log.must_exist()
        try:
            yield db
        except NotFound:  # it may be in what is not compacted
            warn_if_behind(db.log)
            warn_if_forgotten(db.log)
            raise
        warn_if_behind(db.log)
        if far_back:
            warn_if_forgotten(db.log)

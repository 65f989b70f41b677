"""The post office: takes OpenLineage events in, judges them, seals them into a log, and answers questions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modeltrail_collector.answers import Database

__all__ = ["open"]


def open(  # noqa: A001  used as `modeltrail_collector.open`
    log: str | Path = "./lineage",
    *,
    as_of: datetime | str | None = None,
    known_at: datetime | str | None = None,
) -> "Database":
    """The tables of a log (a directory, or an `s3://`, `gs://` or `az://` URI), open for questions.

    A context manager. It opens what a question needs and follows the tables as they grow::

        with modeltrail_collector.open("./lineage") as log:
            answers.show(log, "churn@3")
            log.table("runs").df()
            log.sql("SELECT state, count(*) FROM runs GROUP BY state").pl()

    `as_of` shows them as they were at a past time: made of the events that had happened by then, however late
    they arrived. `known_at` shows what was known at a past time: made of what had arrived by then. A time
    without a zone is UTC; a text is read as the command line reads it: 2026-03-01T12:00:00Z, or 12h, 7d ago.

    A log that nobody wrote to yet holds nothing, and is followed as any other.

    Raises ConfigError for a URI that cannot be used, for a folder that holds something else than a log, and
    for a text that is no time.
    """
    from modeltrail_collector.answers import Database
    from modeltrail_collector.log import open_log
    from modeltrail_collector.tables.past import Moment

    found = open_log(log)
    found.must_be_no_other()
    return Database(found, Moment(_utc(as_of), _utc(known_at)))


def _utc(at: datetime | str | None) -> datetime | None:
    from modeltrail_collector.clock import moment
    from modeltrail_collector.errors import ConfigError

    if isinstance(at, str):
        try:
            return moment(at)
        except ValueError as error:
            raise ConfigError(str(error)) from None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)

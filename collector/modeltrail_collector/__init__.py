"""The post office: takes OpenLineage events in, judges them, seals them into a log, and answers questions."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modeltrail_collector.answers import Database

__all__ = ["open"]


def open(log: str | Path = "./lineage") -> "Database":  # noqa: A001  used as `modeltrail_collector.open`
    """The tables of a log (a directory, or an `s3://`, `gs://` or `az://` URI), open for questions.

    A context manager. It opens what a question needs and follows the tables as they grow::

        with modeltrail_collector.open("./lineage") as log:
            answers.show(log, "churn@3")
            log.table("runs").df()
            log.sql("SELECT state, count(*) FROM runs GROUP BY state").pl()

    Raises ConfigError for a URI that cannot be used.
    """
    from modeltrail_collector.answers import Database
    from modeltrail_collector.log import open_log

    return Database(open_log(log))

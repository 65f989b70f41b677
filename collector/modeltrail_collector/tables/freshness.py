"""How fresh the tables are."""

from datetime import UTC, datetime

from modeltrail_collector.log import Log
from modeltrail_collector.tables.store import statistics
from modeltrail_collector.tables.work import table_store


def newest_ingested_at(log: Log) -> datetime | None:
    """When the newest accepted or warned record of the tables was collected, None where there is none.

    The statistics of the files tell.
    """
    import pyarrow.compute as pc

    flat = table_store(log).open("flat")
    if flat is None:
        return None
    files = statistics(flat)
    if "max.ingested_at" not in files.column_names:
        return None
    newest = pc.max(files["max.ingested_at"]).as_py()
    return newest.replace(tzinfo=UTC) if newest is not None else None

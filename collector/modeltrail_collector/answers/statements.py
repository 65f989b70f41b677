"""The longer SQL of the answers, one file a statement."""

from importlib import resources


def sql_of(name: str) -> str:
    """The text of `answers/sql/<name>.sql`."""
    return resources.files("modeltrail_collector.answers").joinpath(f"sql/{name}.sql").read_text()

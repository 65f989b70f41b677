"""What a frame was read from by a query, and which table one went to."""

from collections.abc import Mapping, Sequence
from typing import Any

from modeltrail import api
from modeltrail.integrations import _frames
from modeltrail.integrations._frames import Function
from modeltrail.observe import databases


def observe_query(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A frame came from the tables that its query names: by pandas, which has the connection by then."""
    query = _frames.argument(function, args, kwargs, 1)
    record_query(result, args[0].con, query)


def observe_table(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """As `observe_query`, of a whole table."""
    given = _frames.named(function, args, kwargs)
    _frames.record_read(result, databases.table(args[0].con, given["table_name"], given.get("schema")))


def record_query(result: Any, connection: Any, *queries: object) -> None:
    """What queries gave came from the tables that they name; of the run they are a part of its code."""
    asked = [databases.look(connection, query) for query in queries]
    _frames.record_read(result, [place for query in asked for place in query.places])
    if (run := api.current_run()) is not None:
        run.facts.reads.add_queries(asked)


def expect_table(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A table that is added to holds what lay in it before."""
    given = _frames.named(function, args, kwargs)
    where = given["name"], given.get("schema")
    is_added = given.get("if_exists") == "append" and args[0].has_table(*where)
    _frames.expect_written(databases.table(args[0].con, *where), is_added=is_added)


def observe_write(function: Function, _: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """A table that was written is an output of the current run."""
    given = _frames.named(function, args, kwargs)
    _frames.record_written(
        given["frame"],
        databases.table(args[0].con, given["name"], given.get("schema")),
        is_added=given.get("if_exists") == "append",
    )

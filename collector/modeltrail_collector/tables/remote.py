"""An object store as DuckDB sees it: through obstore, with the log's own settings and no extension."""

from typing import Any, Final

import duckdb
from obstore.fsspec import FsspecStore

from modeltrail_collector.tables.store import TIMEOUT

_OPTIONS: Final[Any] = {"timeout": TIMEOUT, "allow_http": True}


class _Unchanging(FsspecStore):
    """Files of a table never change: DuckDB, which asks seven times about each, is answered from memory."""

    cachable = False

    def __init__(self, scheme: Any) -> None:
        super().__init__(scheme, client_options=_OPTIONS)
        self._known: dict[str, dict[str, Any]] = {}

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        if path not in self._known:
            self._known[path] = await super()._info(path, **kwargs)
        return self._known[path]


def reach(connection: duckdb.DuckDBPyConnection, scheme: str) -> None:
    """Let a DuckDB read the files of an object store."""
    if not connection.filesystem_is_registered(scheme):
        connection.register_filesystem(_Unchanging(scheme))
        connection.execute("SET validate_external_file_cache = 'NO_VALIDATION'")

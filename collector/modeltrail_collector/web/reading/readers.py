"""Threads that read: each has its own handles on the tables, since a handle belongs to one thread."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from modeltrail_collector.answers import Database
from modeltrail_collector.log import open_log
from modeltrail_collector.web.body import AGAIN
from modeltrail_collector.web.reading.seen import Seen
from modeltrail_collector.web.refusal import Refusal

_THREADS: Final = 2
_HANDLES: Final = 8
"""So many limits of tokens a thread holds something ready for; the one asked for longest ago is dropped."""
_MOST_WAITING: Final = 64

T = TypeVar("T")


class _Handles(threading.local):
    """Of one thread, by the namespaces that may be seen."""

    def __init__(self, log_uri: str) -> None:
        self._log_uri = log_uri
        self._seen: OrderedDict[frozenset[str] | None, Seen] = OrderedDict()
        self._database: Database | None = None

    def seen(self, namespaces: frozenset[str] | None) -> Seen:
        if namespaces not in self._seen:
            self._seen[namespaces] = Seen(open_log(self._log_uri), namespaces)
        self._seen.move_to_end(namespaces)
        if len(self._seen) > _HANDLES:
            self._seen.popitem(last=False)[1].close()
        return self._seen[namespaces]

    def database(self) -> Database:
        if self._database is None:
            self._database = Database(open_log(self._log_uri))
        return self._database


class Readers:
    """Asks questions about a log.

    Args:
        log_uri: Where it lies; opened when something is asked.
    """

    def __init__(self, log_uri: str) -> None:
        self.log_uri = log_uri
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="reading")
        self._handles = _Handles(log_uri)
        self._waiting = 0

    async def see(self, namespaces: frozenset[str] | None, ask: Callable[[Seen], T]) -> T:
        """The answer to a question about what may be seen. Raises Refusal while too many wait."""
        return await self._run(lambda: ask(self._handles.seen(namespaces)))

    async def ask(self, ask: Callable[[Database], T]) -> T:
        """The answer to a question about the whole log. Raises as `see`."""
        return await self._run(lambda: ask(self._handles.database()))

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise Refusal(503, "too much is asked at once: ask again", headers=AGAIN)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

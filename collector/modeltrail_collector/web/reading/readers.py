"""Threads that read: a handle on the tables belongs to one thread."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from modeltrail_collector.answers import Database
from modeltrail_collector.log import open_log
from modeltrail_collector.web.body import AGAIN
from modeltrail_collector.web.reading.seen import Seen
from modeltrail_collector.web.refusal import Refusal

_HANDLES: Final = 8
"""For so many limits of tokens something is held ready; the one asked for longest ago is dropped."""
_MOST_WAITING: Final = 64

T = TypeVar("T")


class Readers:
    """Asks questions about a log, one after the other: browsing in one thread, answers in another.

    So nobody who browses waits for an answer that takes long, and what is held ready is held once.

    Args:
        log_uri: Where the log lies; opened when something is asked.
    """

    def __init__(self, log_uri: str) -> None:
        self.log_uri = log_uri
        self._browsing = ThreadPoolExecutor(1, thread_name_prefix="browsing")
        self._answering = ThreadPoolExecutor(1, thread_name_prefix="answering")
        self._seen: OrderedDict[frozenset[str] | None, Seen] = OrderedDict()
        self._database: Database | None = None
        self._waiting = 0

    async def see(self, namespaces: frozenset[str] | None, ask: Callable[[Seen], T]) -> T:
        """The answer to a question about what may be seen. Raises Refusal while too many wait."""
        return await self._run(self._browsing, lambda: ask(self._seen_of(namespaces)))

    async def ask(self, ask: Callable[[Database], T]) -> T:
        """The answer to a question about the whole log. Raises as `see`."""
        return await self._run(self._answering, lambda: ask(self._whole()))

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise Refusal(503, "too much is asked at once: ask again", headers=AGAIN)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        finally:
            self._waiting -= 1

    def _seen_of(self, namespaces: frozenset[str] | None) -> Seen:
        if namespaces not in self._seen:
            self._seen[namespaces] = Seen(open_log(self.log_uri), namespaces)
        self._seen.move_to_end(namespaces)
        if len(self._seen) > _HANDLES:
            self._seen.popitem(last=False)[1].close()
        return self._seen[namespaces]

    def _whole(self) -> Database:
        if self._database is None:
            self._database = Database(open_log(self.log_uri))
        return self._database

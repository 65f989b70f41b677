"""Which files and tables a run has read, of which it turns out later what for."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from modeltrail import event, naming, standard
from modeltrail.guard import warn_once
from modeltrail.observe import redact, remade
from modeltrail.observe.databases import Query
from modeltrail.observe.paths import MAX_SOURCES, Source
from modeltrail.runs import process
from modeltrail.runs.datasets import Input
from modeltrail.runs.transforms import Identity

MAX_QUERIES: Final = 50
"""So many different queries are told of a run."""
MAX_CHARACTERS: Final = 100_000
"""So long are they at most, all together."""


class Read(msgspec.Struct, frozen=True):
    """A file that was read, and when: RFC 3339."""

    source: Source
    at: str


class Reads:
    """What a run has read, each place as it was when it was read first: later it may be the run's own."""

    def __init__(self) -> None:
        self._by_place: dict[Identity, Read] = {}
        self._before: dict[Identity, set[Identity]] = {}
        self._by_then: dict[Identity, set[Identity]] = {}
        self._late: set[Identity] = set()
        self._seen: set[Identity] = set()
        self._queries: dict[Query, None] = {}
        self._predicted: dict[Identity, int] = {}
        self._lock = process.Lock()

    def add(self, sources: Iterable[Source]) -> None:
        """Keep in mind what was read now."""
        with self._lock:
            if len(self._by_place) >= MAX_SOURCES:
                message = "a run reads more than %d files; the first are told"
                warn_once("many files read", message, MAX_SOURCES)
                return
            for source in sources:
                self._by_place.setdefault(naming.identity(source.place), Read(source, event.now()))
                self._seen.add(naming.identity(source.place))

    def add_queries(self, queries: Iterable[Query]) -> None:
        """Keep in mind what a database was asked."""
        with self._lock:
            self._queries.update(dict.fromkeys(queries))
            for query in list(self._queries)[MAX_QUERIES:]:
                del self._queries[query]

    def sql(self) -> dict[str, Any] | None:
        """The job facet `sql`: what databases were asked, each query once, without its secrets."""
        with self._lock:
            queries = list(self._queries)
        if not queries:
            return None
        dialects = {query.dialect for query in queries}
        text = ";\n".join(redact.text(query.text) for query in queries)
        return standard.sql(text[:MAX_CHARACTERS], dialects.pop() if len(dialects) == 1 else None)

    def has(self, identity: Identity) -> bool:
        """Whether that was read, or loaded."""
        with self._lock:
            return identity in self._seen

    def load(self, model: Identity) -> None:
        """Keep in mind which model is loaded now, and is an input from here on."""
        with self._lock:
            self._seen.add(model)

    def predict(self, sources: Iterable[Source], number: int) -> None:
        """This prediction of the process was made from these, or by a model that was loaded from one."""
        known = remade.behind(sources)
        with self._lock:
            for source in known:
                self._predicted.setdefault(naming.identity(source.place), number)

    def predicted(self, identity: Identity) -> int:
        """The first prediction that this had a part in; 0 where it had none."""
        with self._lock:
            return self._predicted.get(identity, 0)

    def write_of_all(self, target: Identity, inputs: Iterable[Identity], outputs: Iterable[Identity]) -> None:
        """A file is written of data that came from nowhere: of any of these inputs, or of what was read.

        What the run itself had put out by then is none of these: a loop that writes the feed of each day, and
        reads it again, makes none of them of the days before.
        """
        with self._lock:
            self._before[target] = {*inputs, *self._seen}.difference(outputs)
            self._by_then[target] = set(self._seen)

    def after(self, inputs: Iterable[Identity]) -> dict[Identity, set[Identity]]:
        """Of each such file what was read, loaded, or in memory only after that: none of its sources.

        Another input is one that somebody named, who may do so at any time.
        """
        with self._lock:
            seen = {*self._seen, *(each for each in inputs if each[0] == naming.IN_MEMORY)}
            return {target: seen - known for target, known in self._before.items()}

    def is_late(self, identity: Identity) -> bool:
        """Whether this was only read, and files of data from nowhere had been written by then."""
        with self._lock:
            is_late = any(identity not in seen for seen in self._by_then.values())
            if is_late:
                self._late.add(identity)
            return is_late

    def late(self) -> dict[Identity, set[Identity]]:
        """What was only read, and came late -> the files that were written, for the last time, before."""
        with self._lock:
            written = self._by_then.items()
            return {
                identity: {target for target, seen in written if identity not in seen}
                for identity in self._late
            }

    def rename(self, moved: Mapping[Identity, Identity]) -> None:
        """Files that were written have other names now, in place of what had these."""
        with self._lock:
            gone = set(moved.values()).difference(moved)
            self._before, self._by_then = (
                {
                    moved.get(target, target): {moved.get(each, each) for each in known}
                    for target, known in written.items()
                    if target not in gone
                }
                for written in (self._before, self._by_then)
            )

    def drop(self, inputs: Iterable[Input]) -> None:
        """These are told elsewhere: by an evaluation, which is a run of its own."""
        with self._lock:
            for found in inputs:
                self._by_place.pop(found.dataset.identity, None)

    def since(self, at: str) -> list[Identity]:
        """What was read later than that."""
        with self._lock:
            return [identity for identity, read in self._by_place.items() if read.at > at]

    def apart_from(self, told: Collection[Identity]) -> list[Read]:
        """What was read, without what is told in another way, or by what it was made of."""
        with self._lock:
            left = [read for identity, read in self._by_place.items() if identity not in told]
        return [read for read in left if remade.behind([read.source]) == [read.source]]

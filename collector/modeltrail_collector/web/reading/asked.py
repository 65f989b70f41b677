"""The answers of the command line: what `modeltrail … --json` prints, by the names of its arguments."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import modeltrail_collector
from modeltrail_collector import answers
from modeltrail_collector.answers import Database
from modeltrail_collector.web.reading.query import Query
from modeltrail_collector.web.refusal import Refusal

_PAST: Final = frozenset({"as_of", "known_at"})


class Question(NamedTuple):
    """The parameters that it knows, and how it is asked."""

    parameters: frozenset[str]
    ask: Callable[[Database, Query], object]


def _question(parameters: str, ask: Callable[[Database, Query], object]) -> Question:
    return Question(_PAST | frozenset(parameters.split()), ask)


def _impact(db: Database, query: Query) -> object:
    dataset, fingerprint = query.text("dataset"), query.text("fingerprint")
    if dataset is None and fingerprint is None:
        raise Refusal(400, "name a `dataset` or a `fingerprint`")
    return answers.impact(db, dataset, fingerprint=fingerprint, column=query.text("column"))


def _why(db: Database, query: Query) -> object:
    second, against = query.text("second"), query.choice("against", "previous", "production")
    if second is not None and against == "production":
        raise Refusal(400, "`against` chooses the other version where only one is named: here both are")
    return answers.why(db, query.needed("first"), second, against=against or "previous")


def _runs(db: Database, query: Query) -> object:
    chosen = {name: query.text(name) for name in ("job", "state", "parent")}
    return answers.runs(db, limit=query.limit(), **chosen)


def _as_of(db: Database, query: Query) -> object:
    query.needed("time")
    return answers.as_of(db, query.text("name"))


QUESTIONS: Final = {
    "models": _question("limit", lambda db, query: answers.models(db, limit=query.limit())),
    "runs": _question("job state parent limit", _runs),
    "show": _question("model", lambda db, query: answers.show(db, query.needed("model"))),
    "trace": _question(
        "name column", lambda db, query: answers.trace(db, query.needed("name"), column=query.text("column"))
    ),
    "impact": _question("dataset fingerprint column", _impact),
    "why": _question("first second against", _why),
    "reproduce": _question("model", lambda db, query: answers.reproduce(db, query.needed("model"))),
    "changes": _question(
        "before after",
        lambda db, query: answers.changes(db, query.needed("before"), query.needed("after")),
    ),
    "as-of": Question(frozenset({"time", "name", "known_at"}), _as_of),
}
"""By the name of the command."""


@contextmanager
def then(now: Database, log_uri: str, query: Query) -> Iterator[Database]:
    """The handle on the log for the times that are asked about; without any it is `now`."""
    as_of, known_at = query.time("as_of") or query.time("time"), query.time("known_at")
    if as_of is None and known_at is None:
        yield now
        return
    with modeltrail_collector.open(log_uri, as_of=as_of, known_at=known_at) as past:
        yield past


def is_about_now(query: Query) -> bool:
    """Whether the answer is another only when the tables are."""
    return not any(query.text(name) for name in (*_PAST, "time"))

"""The answers of the command line: what `modeltrail … --json` prints, by the names of its arguments.

A report is the text that the command writes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

import modeltrail_collector
from modeltrail_collector import answers
from modeltrail_collector.answers import Database
from modeltrail_collector.errors import NotVerified
from modeltrail_collector.reports import FORMATS
from modeltrail_collector.web.reading.query import Query
from modeltrail_collector.web.refusal import Refusal

_PAST: Final = frozenset({"as_of", "known_at"})


class Question(NamedTuple):
    """The parameters that it knows, how it is asked, and whether what was forgotten may be missing."""

    parameters: frozenset[str]
    ask: Callable[[Database, Query], object]
    is_far_back: bool = False


class Document(NamedTuple):
    """An answer that is no JSON of ours, and what it is."""

    text: str
    media_type: str


_MEDIA_TYPES: Final = {"html": "text/html", "md": "text/markdown", "json": "application/json"}


def _question(
    parameters: str, ask: Callable[[Database, Query], object], *, far_back: bool = False
) -> Question:
    return Question(_PAST | frozenset(parameters.split()), ask, far_back)


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


def _report(db: Database, query: Query) -> Document:
    """A report made now, or at `made_at`: of people's statements the server has no file."""
    try:
        from modeltrail_collector.reports.report import report
    except ModuleNotFoundError as error:
        raise Refusal(501, f"reports need {error.name}: pip install 'modeltrail[report]'") from error

    kind = query.choice("kind", *FORMATS) or "audit"
    form = query.choice("format", *FORMATS[kind]) or FORMATS[kind][0]
    made_at = query.time("made_at") or datetime.now(UTC)
    at = made_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        found = report(db, query.needed("model"), kind=kind, format_=form, made_at=at)
    except NotVerified as error:
        raise Refusal(409, str(error)) from error
    return Document(found.text, _MEDIA_TYPES[form])


QUESTIONS: Final = {
    "models": _question("limit", lambda db, query: answers.models(db, limit=query.limit())),
    "runs": _question("job state parent limit", _runs),
    "show": _question("model", lambda db, query: answers.show(db, query.needed("model"))),
    "trace": _question(
        "name column",
        lambda db, query: answers.trace(db, query.needed("name"), column=query.text("column")),
        far_back=True,
    ),
    "impact": _question("dataset fingerprint column", _impact, far_back=True),
    "why": _question("first second against", _why),
    "reproduce": _question("model", lambda db, query: answers.reproduce(db, query.needed("model"))),
    "changes": _question(
        "before after",
        lambda db, query: answers.changes(db, query.needed("before"), query.needed("after")),
    ),
    "report": _question("model kind format made_at", _report),
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

"""What a report says, apart from how it looks: sections of facts, tables, plots and statements.

A fact whose value is None was not recorded, and every form of the report says so. What people say is a
`Statement` with its author and date and never a `Fact`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from modeltrail_collector.answers.places import LED_TO

Form = Literal["text", "code", "number", "bytes", "time", "duration"]
Kind = Literal["lines", "bars", "histogram"]

OBSERVED: Final = "observed"
HUMAN: Final = "human"
NOT_RECORDED: Final = "not recorded"


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the log says. `capture` is how it was learned, `source` the record that says so."""

    name: str
    value: Any
    form: Form = "text"
    capture: str | None = None
    source: str | None = None


class Column(msgspec.Struct, frozen=True):
    """A column of a table, and how its values are written."""

    name: str
    form: Form = "text"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Many things of one kind, learned in these ways; `missing` says what it means that there is none."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""
    captures: tuple[str | None, ...] = (None,)
    missing: str = NOT_RECORDED


class Series(msgspec.Struct, frozen=True):
    """Points of a plot, (x, y); of bars x is a label, of a histogram (from, to, count)."""

    name: str
    points: tuple[tuple[Any, ...], ...]


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A plot; those of one `group` stand together."""

    group: str
    title: str
    kind: Kind
    series: tuple[Series, ...]
    x: str = ""
    y: str = ""
    note: str = ""


Identity = tuple[str, str, str | None, str | None]
"""Namespace, name, digest, and of what has no digest the version."""


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset, model or endpoint that a step reads or writes; `role` is what for.

    `others` are its other names (namespace and name), by the standard facet `symlinks`. `is_possible` says
    that nobody saw what it was read for, and that the model may have come of it. `copy_of` is what the run
    calls it that made these bytes, where nobody told how they came here.
    """

    name: str
    namespace: str
    kind: str
    role: str | None = None
    version: str | None = None
    digest: str | None = None
    rows: int | None = None
    capture: str | None = None
    first: bool = False
    led_to: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    is_possible: bool = False
    copy_of: str | None = None

    @property
    def identity(self) -> Identity:
        """What tells it from others."""
        return identity(self.namespace, self.name, self.digest, self.version)


def identity(namespace: str, name: str, digest: str | None, version: str | None) -> Identity:
    """Things of one name are told apart by their content, and where that was not told by their version."""
    return namespace, name, digest, None if digest else version


def called(name: str, led_to: Sequence[str]) -> str | list[str]:
    """A dataset in a cell: its name, and the files that its path led to."""
    return [name, *(f"{LED_TO} {each}" for each in led_to)] if led_to else name


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the trail; `events` are the records of the log that tell of it."""

    what: str
    job: str
    run_id: str
    state: str
    started_at: str | None
    ended_at: str | None
    reads: tuple[Thing, ...]
    writes: tuple[Thing, ...]
    events: tuple[str, ...]


class Text(msgspec.Struct, frozen=True):
    """Many lines as they were recorded: a diff."""

    title: str
    text: str


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says: declared by `author` on `date`; `origin` is the file or the record of the log."""

    topic: str
    text: str
    author: str | None
    date: str | None
    origin: str
    link: str | None = None


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a report. `unsaid` are the topics that only people can speak of and nobody did.

    `in_part` says that there is something in it, and that something which it asks for was not said.
    """

    title: str
    number: str = ""
    about: str = ""
    status: tuple[str, ...] = ()
    in_part: bool = False
    facts: tuple[Fact, ...] = ()
    steps: tuple[Step, ...] = ()
    tables: tuple[Table, ...] = ()
    texts: tuple[Text, ...] = ()
    charts: tuple[Chart, ...] = ()
    statements: tuple[Statement, ...] = ()
    unsaid: tuple[str, ...] = ()
    note: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report. `answer` and `problems` say whether the records that it quotes are what was sealed."""

    kind: str
    title: str
    about: str
    head: tuple[Fact, ...]
    sections: tuple[Section, ...]
    answer: str
    problems: tuple[str, ...]
    made_at: str
    made_by: str


def section(
    title: str,
    *,
    facts: Iterable[Fact] = (),
    tables: Iterable[Table | None] = (),
    charts: Iterable[Chart | None] = (),
    topics: Iterable[str] = (),
    said: Mapping[str, tuple[Statement, ...]] | None = None,
    **more: Any,
) -> Section:
    """A section with its status: what of it was observed, what people said, or that nothing was recorded.

    `more` are other fields of a `Section`.
    """
    known, wanted = tuple(facts), tuple(topics)
    shown = tuple(table for table in tables if table is not None)
    statements = tuple(one for topic in wanted for one in (said or {}).get(topic, ()))
    captures = {fact.capture for fact in known if fact.value is not None}
    captures |= {capture for table in shown if table.rows for capture in table.captures}
    status = [OBSERVED] if captures - {"declared"} else []
    status += [HUMAN] if statements or "declared" in captures else []
    unsaid = tuple(topic for topic in wanted if not (said or {}).get(topic))
    return Section(
        title=title,
        status=tuple(status) or (NOT_RECORDED,),
        in_part=bool(status and unsaid),
        facts=known,
        tables=shown,
        charts=tuple(chart for chart in charts if chart is not None),
        statements=statements,
        unsaid=unsaid,
        **more,
    )

"""Versions of datasets: what each run wrote, and what runs read that nobody is known to have written.

A run that writes makes one version. What a run read is the version whose content it says (the `version`
facet, or a fingerprint) and which was written before; where it says nothing, the one written last before;
and where there is no such one, a version of its own, by what it says. Ids are made of these facts alone:
they are the same after every rebuild.
"""

import uuid
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final, NamedTuple

from modeltrail_collector.answers.database import Row
from modeltrail_collector.tables.scan import translated
from modeltrail_collector.web.reading.seen import Name, Seen, name_of

_READS: Final = ("run_id", "namespace", "name", "version", "fingerprint", "began")
_OF_RUN: Final = "run"
_OF_CONTENT: Final = "content"
_OF_EVENT: Final = "event"


def by_run(name: Name, run_id: str) -> str:
    """The id of what a run wrote."""
    return _made(name, _OF_RUN, run_id)


def by_content(name: Name, row: Row) -> str:
    """The id of what somebody read, by what they say of it."""
    content = row["fingerprint"] if row["version"] is None else row["version"]
    return _made(name, _OF_CONTENT, content or "")


def by_event(name: Name, row: Row) -> str:
    """The id of what a DatasetEvent tells, by the place of its record."""
    return _made(name, _OF_EVENT, f"{row['topic']}/{row['topic_id']}/{row['partition']}/{row['offset']}")


def _made(name: Name, of: str, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\t".join((*name, of, what))))


def version_id(name: Name, version: str) -> dict[str, Any]:
    """A version as Marquez writes it."""
    return {"namespace": name[0], "name": name[1], "version": version}


class Used(NamedTuple):
    """That a run read or wrote (`input`, `output`) a version of a dataset."""

    run_id: str
    role: str
    name: Name
    version: str


def used(seen: Seen, runs: Sequence[Row]) -> list[Used]:
    """What these runs (rows of `runs`) read and wrote."""
    began = {row["run_id"]: row["began"] for row in runs}
    rows = seen.db.read(
        "run_datasets",
        "run_id, role, namespace, name, version, fingerprint",
        runs=began.keys(),
        then="ORDER BY run_id, role, namespace, name",
    )
    for row in rows:
        row["namespace"], row["name"] = seen.meant(name_of(row))
        row["began"] = began[row["run_id"]]
    read = [row for row in rows if row["role"] == "input"]
    for row, writer in zip(read, _writers(seen, read), strict=True):
        row["writer"] = writer
    found = []
    for row in rows:
        name, writer = name_of(row), row.get("writer") if row["role"] == "input" else row["run_id"]
        version = by_run(name, writer) if writer else by_content(name, row)
        found.append(Used(row["run_id"], row["role"], name, version))
    return list(dict.fromkeys(found))


def _writers(seen: Seen, read: Sequence[Row]) -> list[str | None]:
    """The run that wrote what was read, of each of these rows."""
    if not read:
        return []
    columns = ("number", *_READS)
    rows = ((str(number), *(row[name] for name in _READS)) for number, row in enumerate(read))
    seen.db.fill("said", columns, rows)
    _attach(seen, {name_of(row) for row in read})
    reads = "SELECT * REPLACE (began::TIMESTAMPTZ AS began, number::INTEGER AS number) FROM said"
    with translated():
        found = seen.db.rows(_resolved(f"FROM ({reads})") + " ORDER BY number")
    return [row["written_by"] for row in found]


def _attach(seen: Seen, datasets: set[Name]) -> None:
    """Make `mentioned` what was read and written of these datasets."""
    seen.db.attach("mentions", keys=seen.called(datasets))
    seen.db.attach("models", models=datasets)
    seen.db.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE mentioned AS {_text('mentioned').format(visible=seen.mention_visible)}"
    )


def _resolved(reads: str) -> str:
    return _text("written_by").format(reads=reads)


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(f"sql/{name}.sql").read_text()


def of_dataset(seen: Seen, name: Name) -> list[Row]:
    """All versions of a dataset, the latest first: `at`, and the run that wrote or, by its `role`, read it.

    The run is None of what a DatasetEvent alone tells.
    """
    _attach(seen, {name})
    with translated():
        rows = seen.db.rows(
            _text("versions").format(resolved=_resolved("FROM mentioned WHERE role = 'input'")),
            namespace=name[0],
            name=name[1],
        )
    rows += [
        {**row, "at": row["happened_at"], "role": "dataset", "run_id": None}
        for row in seen.told("dataset", [name]).get(name, [])
        if row["key"] == ""
    ]
    return sorted(rows, key=lambda row: (row["at"], row["role"], row["run_id"] or ""), reverse=True)


def id_of(name: Name, row: Row) -> str:
    """The id of a row of `of_dataset`."""
    match row["role"]:
        case "output":
            return by_run(name, row["run_id"])
        case "input":
            return by_content(name, row)
        case _:
            return by_event(name, row)

"""Where the data of a model comes from: the raw data, the runs that prepared it, and their code."""

from collections.abc import Iterator

from modeltrail_collector.answers.database import Row
from modeltrail_collector.reports import facts
from modeltrail_collector.reports.document import (
    NOT_RECORDED,
    Column,
    Fact,
    Identity,
    Step,
    Table,
    Text,
    called,
)
from modeltrail_collector.reports.gather import IN_MEMORY, MADE_BASE, MADE_DATA, Dossier


def steps(dossier: Dossier) -> tuple[Step, ...]:
    """The runs that made what it learned from, from the raw data on."""
    return tuple(step for step in dossier.steps if MADE_DATA in step.what or MADE_BASE in step.what)


def origin(dossier: Dossier) -> str:
    """That nobody recorded where the rows in memory came from, if so: the raw data is not all then."""
    read = [one for one in dossier.tree["inputs"] if not one["possible"] and one["use"] != "other"]
    if not read or any(one["namespace"] != IN_MEMORY or one["run"] for one in read):
        return ""
    names = ", ".join(one["name"] for one in read)
    return f"Which data the rows in {names} came from is not recorded."


def raw(dossier: Dossier) -> Table:
    """Where the trail begins: what no run of the log wrote."""
    readers: dict[Identity, list[tuple[str, str | None]]] = {}
    for step in dossier.steps:
        for thing in step.reads:
            readers.setdefault(thing.identity, []).append((step.job, thing.capture))
    known = [(one, readers.get(one.identity, [])) for one in dossier.raw]
    return Table(
        title="Raw data: no run of the log wrote it",
        columns=(
            Column("data"), Column("rows", "number"), Column("version", "code"),
            Column("fingerprint", "code"), Column("read by"), Column("how"),
        ),
        rows=tuple(
            (called(one.name, one.led_to), one.rows, one.version if one.version != one.digest else None,
             one.digest,
             list(dict.fromkeys(job for job, _ in several)) or None,
             next((capture for _, capture in several if capture), None))
            for one, several in known
        ),
        note=origin(dossier),
        captures=tuple(capture for _, several in known for _, capture in several) or (None,),
    )  # fmt: skip


def code(dossier: Dossier) -> Table | None:
    """The code of the runs that prepared the data; None where there were none."""
    known = [
        (step, {fact.name: fact for fact in facts.code(dossier, step.run_id)}) for step in steps(dossier)
    ]
    shown = ("repository", "commit", "uncommitted changes", "changed files", "entry point", "arguments")

    def row(step: Step, said: dict[str, Fact]) -> tuple[object, ...]:
        return step.job, *(said[name].value for name in shown), said["entry point"].source

    return Table(
        title="Code of the runs that prepared the data",
        columns=(
            Column("job"), Column("repository", "code"), Column("commit", "code"),
            Column("uncommitted changes"), Column("changed files"), Column("entry point", "code"),
            Column("arguments", "code"), Column("event", "code"),
        ),
        rows=tuple(row(step, said) for step, said in known),
        captures=tuple(said["entry point"].capture for _, said in known),
    ) if known else None  # fmt: skip


def texts(dossier: Dossier) -> Iterator[Text]:
    """The uncommitted changes, queries and source of the making run and of those that prepared its data."""
    jobs = {step.run_id: step.job for step in dossier.steps}
    found: dict[tuple[str, str], list[str]] = {}
    for run in dict.fromkeys([dossier.model["run_id"], *(step.run_id for step in steps(dossier))]):
        said = facts.code_state(dossier, run) or {}
        if isinstance(said.get("diff"), str) and said["diff"]:
            cut = ", cut" if said.get("diffTruncated") is True else ""
            found.setdefault((said["diff"], cut), []).append(jobs.get(run, run))
    for (diff, cut), several in found.items():
        yield Text(f"Uncommitted changes of {', '.join(dict.fromkeys(several))}{cut}", diff)
    yield from _told_of_jobs(dossier)


def _told_of_jobs(dossier: Dossier) -> Iterator[Text]:
    """The queries and the source that producers told of these jobs by the standard facets."""
    runs = {dossier.model["run_id"], *(step.run_id for step in steps(dossier))}
    for what, key, field in (("Query", "sql", "query"), ("Source", "sourceCode", "sourceCode")):
        for step in dossier.steps:
            for _, value in dossier.about(key, run=step.run_id) if step.run_id in runs else ():
                if isinstance(value.get(field), str):
                    yield Text(f"{what} of {step.job}", value[field])


def changed(dossier: Dossier) -> Table | None:
    """The files of the code in which it differs from the version before; None where there is none."""
    if not dossier.code_changes:
        return None
    told = [words for job, change in dossier.code_changes if (words := _said(job, change))]
    return Table(
        title=f"Changed files of the code since version {dossier.story['changes'][0]['base_version']}",
        columns=(
            Column("job"), Column("file", "code"), Column("lines added", "number"),
            Column("lines removed", "number"),
        ),
        rows=tuple(
            (job, one["path"], one["added"], one["removed"])
            for job, change in dossier.code_changes
            for one in _files(change)
        ),
        note=" ".join(told),
        missing=" ".join(told),
        captures=("inferred",),
    )  # fmt: skip


def _said(job: str, change: Row) -> str:
    """What is known of the code of a job beside its files; nothing where these are all."""
    is_same = change["change"] == "same"
    known = {
        "none, the code is the same": is_same,
        NOT_RECORDED: not is_same and not _files(change),
        f"what lies between the two commits, the repository tells: {change['ask']}": change["ask"],
        "not all of the changes were recorded, the list may not be whole": change["cut"],
    }
    words = "; ".join(words for words, holds in known.items() if holds)
    return f"{job}: {words}." if words else ""


def _files(change: Row) -> list[Row]:
    others = [*change["data_files"], *(f"{path} (untracked)" for path in change.get("untracked", ()))]
    return [*change["files"], *({"path": path, "added": None, "removed": None} for path in others)]

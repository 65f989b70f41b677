"""Why a model version behaves differently from another one: what changed, and what that likely did."""

from pathlib import Path
from typing import Any

import msgspec

from modeltrail_collector.answers.database import Database, Row, opened
from modeltrail_collector.answers.places import models_of
from modeltrail_collector.answers.why import (
    arguments,
    between,
    causes,
    chance,
    code,
    data,
    facts,
    figures,
    made,
    measuring,
)
from modeltrail_collector.answers.why.between import Step
from modeltrail_collector.answers.why.cause import Found, named
from modeltrail_collector.answers.why.facts import Story
from modeltrail_collector.answers.why.measuring import Measured
from modeltrail_collector.log import Log


def why(
    of: Log | Database,
    first: str,
    second: str | None = None,
    *,
    against: str = "previous",
    repository: Path | None = None,
) -> dict[str, Any]:
    """What changed from one model version to the other, and the likely causes, ranked.

    `why(log, "churn@3", "churn@4")` compares the two; `why(log, "churn@4")` compares with the version made
    before it, or with `against="production"` the one in production when it was made. `repository` is a folder
    in the repository of the code: where it has both commits, the diff is made there.

    The answer: `before` and `after` (of rows of `models`); `chosen` (how the older one was chosen, and why);
    `figures` (see `figures.moved`); `causes` (ranked, each with `strength`, `evidence` and `against`; the
    rule is in `causes.py`); `changes` by section (data, transformations, training, params, arguments, code,
    environment, upstream, evaluation); `unchanged`, `not_recorded` and `notes` (sentences). Each piece of
    evidence has `sources`, the log records that say it.

    Raises:
        NotFound: There is no such version, or none to compare with.
        ConfigError: Both are the same version.
    """
    with opened(of) as db:
        before, after, chosen = facts.read(db, first, second, against)
        steps = [] if chosen["how"] == "previous" else between.read(db, before, after)
    found = _compared(before, after, repository, steps)
    measured = measuring.compare(found, repository)
    ranked = causes.ranked(found, measured)
    return {
        "before": _version(before),
        "after": _version(after),
        "chosen": chosen,
        "figures": found.figures,
        "causes": ranked,
        "changes": _changes(found, measured),
        "unchanged": _unchanged(found) + _measured_alike(measured),
        "not_recorded": _not_recorded(found) + _measured_by(measured),
        "notes": _notes(found, ranked),
    }


def causes_of(db: Database, namespace: str, name: str, before: str, after: str) -> list[Row]:
    """The ranked causes alone, of two versions of one name."""
    old, new = facts.stories(db, *(facts.version(db, namespace, name, one) for one in (before, after)))
    found = _compared(old, new, None, [])
    return causes.ranked(found, measuring.compare(found, None))


def _compared(before: Story, after: Story, repository: Path | None, steps: list[Step]) -> Found:
    return Found(
        before,
        after,
        data=data.compare(before, after),
        made=made.Made(before, after),
        code=code.compare(before, after, repository),
        upstream=arguments.preparing(before, after, made.upstream(before, after, repository)),
        figures=figures.moved(before, after),
        steps=steps,
    )


def _version(story: Story) -> Row:
    fields = ("namespace", "name", "version", "registered_name", "digest", "created_at")
    known = {field: story.model[field] for field in fields}
    return {"label": story.label} | known | {"run_id": story.run_id}


def _changes(found: Found, measured: list[Measured]) -> dict[str, Any]:
    upstream = [
        row | {"differences": [msgspec.structs.asdict(change) for change in row["differences"]]}
        for row in found.upstream
    ]
    return {
        "data": [data.told(pair) for pair in found.data],
        "transformations": made.plain(found.made.section("transformations")),
        "training": found.made.training(),
        "params": found.made.parameters(),
        "arguments": found.made.arguments(),
        "code": found.code,
        "environment": found.made.environment(),
        "upstream": upstream,
        "evaluation": [runs.told() for runs in measured],
    }


def _unchanged(found: Found) -> list[str]:
    """What was recorded on both sides and is the same: ruled out."""
    said = [f"data: {pair.either.name} {data.sameness(pair)}" for pair in found.data if pair.change == "same"]
    for section in ("parameters", "transformations", "environment"):
        old, new = found.made.old[section], found.made.new[section]
        if old and old == new and not (section == "environment" and found.made.environment()):
            some = " as far as values were recorded" if found.made.hidden(section) else ""
            said.append(f"{section}: all the same{some}")
    if found.code["change"] == "same":
        said.append(_same_code(found.code["before"], found.code["after"]))
    elif found.code["change"] == "data":
        said.append(f"code: of the tracked files only data differs: {named(found.code['data_files'])}")
    fixed = [made.seeds(story) for story in (found.before, found.after)]
    if fixed[0] and fixed[0] == fixed[1]:
        said.append("seeds: " + ", ".join(f"{name}={value}" for name, value in sorted(fixed[1].items())))
    return said


def _same_code(was: Row, now: Row) -> str:
    if not now["commit"]:
        return f"code: {now['entry_point']} and the modules that it imports"
    whole = all(state["elsewhere"] is not None for state in (was, now))
    modules = " and its modules from elsewhere" if whole and now["elsewhere"] else ""
    states = [
        f"commit {state['commit'][:12]}{' with uncommitted changes' if state['diff_sha256'] else ''}"
        for state in (was, now)
    ]
    if was["commit"] != now["commit"] or was["diff_sha256"] != now["diff_sha256"]:
        return f"code: {states[0]} and {states[1]} hold the same tracked files{modules}"
    return f"code: {states[1].replace(' with', ', the same')}{modules}"


def _not_recorded(found: Found) -> list[str]:
    """What nobody said on one side or both: it cannot be ruled out."""
    said = [
        f"{what} of {story.label}"
        for what in ("parameters", "training", "environment")
        for story in found.made.lacking(what)
    ]
    said += [
        f"{section}: the values of {named(hidden)}, of which only a class or a name was recorded"
        for section in ("parameters", "transformations")
        if (hidden := found.made.hidden(section))
    ]
    said += _code_not_recorded(found)
    said += [
        f"code of {job}, which prepared the data" for job in made.without_code(found.before, found.after)
    ]
    for story in (found.before, found.after):
        if not any(getattr(pair, side) for pair in found.data for side in _side(found, story)):
            said.append(f"data of {story.label}")
        if not story.figures:
            said.append(f"evaluations of {story.label}")
        if story.model["digest"] is None:
            said.append(f"digest of {story.label}")
    for pair in found.data:
        if pair.change == "unknown":
            said.append(f"which content of {pair.either.name} was read")
        elif pair.change == "changed" and not pair.profiled:
            said.append(f"how the columns of {pair.either.name} are distributed")
    return said + [
        f"which content of {dataset} was read to measure {named(names)}"
        for dataset, names in figures.of_unknown_data(found.figures).items()
    ]


def _code_not_recorded(found: Found) -> list[str]:
    change, said = found.code, []
    for story, state in ((found.before, change["before"]), (found.after, change["after"])):
        if state is None or (
            not state["commit"] and change["change"] == "unknown" and not change["entry_only"]
        ):
            said.append(f"code of {story.label}")
            continue
        if state["commit"] and not state["changes_known"]:
            said.append(f"code of {story.label}: uncommitted changes")
        said += [f"code of {story.label}: {state[why]}" for why in ("unlisted", "unread") if state[why]]
        if state["elsewhere"] is None and not change["entry_only"]:
            said.append(f"code of {story.label} outside of its repository")
    if change["change"] in {"same", "data"}:
        said.append("files that the code opens by a name that it puts together")
    if change["entry_only"]:
        entry = change["after"]["entry_point"] or "the source of the job"
        said.append(f"code but for {entry}, which is the same: of modules that it imports nothing is known")
    return said


def _measured_alike(measured: list[Measured]) -> list[str]:
    return [
        f"evaluation of {named(runs.names)}: {_same_code(runs.code['before'], runs.code['after'])}"
        for runs in measured
        if runs.code["change"] == "same"
    ]


def _measured_by(measured: list[Measured]) -> list[str]:
    return [
        f"code that measured {named(runs.names)} of {story.label}"
        for runs in measured
        for story, side in ((runs.found.before, "before"), (runs.found.after, "after"))
        if runs.code[side] is None
    ]


def _side(found: Found, story: Story) -> tuple[str]:
    return ("before",) if story is found.before else ("after",)


def _notes(found: Found, ranked: list[Row]) -> list[str]:
    """What has to be said of the comparison as a whole."""
    said = _trained(found) or ([] if ranked else ["Nothing that was recorded of how they were made changed."])
    moved = [row for row in found.figures if figures.has_moved(row)]
    compared = [row for row in found.figures if row["before"] is not None and row["after"] is not None]
    digests = [story.model["digest"] for story in (found.before, found.after)]
    same_bytes = digests[0] == digests[1] if None not in digests else None
    if moved and not ranked:
        said.append("The figures moved nevertheless: the cause is not in what was recorded.")
    elif ranked and compared and not moved:
        said.append("Every figure that both versions have is the same.")
    if same_bytes is not None:
        said.append(
            "The two models are the same bytes." if same_bytes else "The two models differ in their bytes."
        )
        if same_bytes and moved:
            said.append("The figures differ all the same: in how, or on what, they were measured.")
    if not same_bytes and (moved or same_bytes is False):
        said += chance.said(found, ranked, alike=bool(compared) and not moved)
    if not compared:
        said.append(_not_compared(found))
    said += _doubts(found)
    if any(row["same_data"] is False for row in moved):
        said.append("Some figures were measured on different data: they do not compare like with like.")
    return said


def _not_compared(found: Found) -> str:
    names = [{row["name"] for row in story.figures} for story in (found.before, found.after)]
    what = "of one measure on the same data " if set.intersection(*names) else ""
    return f"No figure {what}was recorded for both versions: nothing says that one behaves differently."


def _doubts(found: Found) -> list[str]:
    """What one version alone makes doubtful: a run that did not end well, figures that were told again."""
    said = []
    for side, story in (("before", found.before), ("after", found.after)):
        run = story.trail["run"]
        if run and run["state"] in figures.NOT_WELL:
            said.append(f"The run that made {story.label} ended as {run['state']}.")
        said += [
            f"The run that measured {named(names)} of {story.label} ended as {state}."
            for state, names in figures.of_failed_runs(found.figures, side).items()
        ]
        own = sorted(
            {
                row["name"]
                for row in story.figures
                if row["source"] != "evaluation" and row["model_id"] is None
            }
        )
        made = models_of(story.datasets.get(story.run_id, ())).get(story.run_id, 1)
        if own and made > 1:
            several = f"The run that made {story.label} made {made} models"
            said.append(f"{several}: of which of them {named(own)} is, it does not say.")
        again = sorted({row["name"] for row in story.figures if row["runs"] > 1})
        if again:
            said.append(f"{story.label} was evaluated again: of {named(again)} the last figure counts.")
    return said


def _trained(found: Found) -> list[str]:
    rows = [row for row in found.made.training() if row["is_result"]]
    told = [
        f"{row['name']} {row['before'] or 'not recorded'} → {row['after'] or 'not recorded'}" for row in rows
    ]
    return [f"How long it trained is a result here, and no cause: {', '.join(told)}."] if told else []

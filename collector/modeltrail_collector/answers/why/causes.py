"""The likely causes, ranked by a rule that is modest: it tells strength, and never that something is so.

Each difference between the two versions that could act on the model, or on its figures, is a candidate.
Alone it is

=================  ===================================================================================
strong             a column of the data moved by PSI >= 0.25, its type changed or it is gone; missing
                   values moved by 10 points; rows changed by half; a dataset came or went; a parameter,
                   the algorithm or a transformation changed, also of a run that prepared the data; the
                   figures were measured on other data
possible           the data moved by less, by PSI >= 0.1, by two points or by a tenth of the rows; it
                   differs and how is not recorded; code changed; an argument that no other change accounts
                   for; a library that computes is another version; a seed; data that was read and nobody saw
                   what for, however it changed
unlikely           the data differs and no column moved; other packages, the machine; documentation, tests
                   and Python files that the program did not import; parameters that only say how fast
                   (`n_jobs`); defaults that differ with a library, which is strong itself where both say
                   something; figures measured on other data that the run made of the same files, where
                   something else changed
=================  ===================================================================================

What differs between runs that only evaluated the versions (`measuring.py`) is as strong as it is of the
making run, where a figure moved that they measured.

Then, in this order: code and arguments, or without these the library, go up one step where what was fitted on
changed inside of the run and no change of its files explains that (`origins.py`), and so does an upstream run
of whose output the same is true.
A change of data that nothing downstream shows goes down one step. Where what the model was fitted on has the
same content, or the two models are the same bytes, what lies before it is unlikely; alone, and where only the
order of the rows fitted on can differ, it is possible. This does not hold where a figure moved and that may
be in the measuring: for data that reached the evaluation, and for code, arguments and libraries of a run that
measured its own model. Else the only candidate there is goes up one step where code and environment were
recorded on both sides: nothing else differs.

Where the log has versions in between, a change goes down one step that came only where no figure moved. One
that came where the figure that moved most made its largest move is told before others of its strength, and
goes up one step where it alone came there.

What changed in the data is told where it came in (`data.py`): the feed, not the features made from it, which
are its evidence. Candidates are ordered by strength, then evaluation data, evaluation, data, preparation,
transformations, training, parameters, code, environment, then by how far they moved, then by name.
"""

from typing import Final

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why import code, data, feeds, figures, making
from modeltrail_collector.answers.why.between import Step
from modeltrail_collector.answers.why.cause import MUCH, POSSIBLE, STRONG, UNLIKELY, Cause, Found, named
from modeltrail_collector.answers.why.data import Pair
from modeltrail_collector.answers.why.facts import Story
from modeltrail_collector.answers.why.measuring import Measured
from modeltrail_collector.answers.why.origins import Origins
from modeltrail_collector.tables.pairing import IN_MEMORY

_KINDS: Final = (
    "evaluation data", "evaluation", "data", "preparation", "transformations", "training", "parameters",
    "code", "environment",
)  # fmt: skip


def ranked(found: Found, measured: list[Measured]) -> list[Row]:
    """The candidates as JSON, likeliest first; `measured` are the runs that only evaluated."""
    made = making.made(found)
    origins = Origins(found.data)
    explained = making.explain(found, made, origins)
    causes = [
        *feeds.candidates(found, origins, explained=explained),
        *making.preparations(found, origins),
        *made,
        *(cause for runs in measured for cause in runs.causes()),
    ]
    judged = _evaluated(found, causes)
    _mark_measuring(found, causes)
    beside = [*causes, *(one for one in judged if not _is_consequence(one))]
    _weigh(found, causes, alone=bool(causes) and len(beside) == 1)
    _weigh_steps(found, causes, beside)
    causes += _weighed(judged, causes)
    causes.sort(key=_order)
    return [cause.told(number) for number, cause in enumerate(causes, 1)]


def _mark_measuring(found: Found, causes: list[Cause]) -> None:
    """What may have acted on how a run measured its own model, and not on the model alone."""
    moved = [row for row in found.figures if figures.has_moved(row)]
    if any(
        figures.is_own(story, row[f"run_{side}"])
        for row in moved
        for side, story in (("before", found.before), ("after", found.after))
    ):
        for cause in causes:
            acts = cause.kind in {"code", "environment"} or cause.subject == "command line"
            cause.measures = cause.measures or (acts and cause.strength < UNLIKELY)


def _weigh(found: Found, causes: list[Cause], *, alone: bool) -> None:
    """The steps of the rule that look at all candidates; `alone`: nothing else differs."""
    digests = {story.model["digest"] for story in (found.before, found.after)}
    same_model = len(digests) == 1 and None not in digests
    fitted = [pair for pair in found.data if pair.either.depth == 1 and pair.either.use == "train"]
    in_memory = [pair for pair in fitted if pair.either.namespace == IN_MEMORY] or fitted
    same_data = bool(in_memory) and all(pair.change == "same" for pair in in_memory)
    for cause in causes:
        if cause.measures:
            if same_model:
                cause.for_(
                    "the two versions are the same bytes: it may be in how or on what they were measured"
                )
        elif same_model:
            cause.strength = UNLIKELY
            cause.but("the two versions are the same bytes")
        elif same_data and cause.kind in {"data", "preparation"}:
            cause.strength = UNLIKELY
            places = [side.place for pair in in_memory for side in (pair.before, pair.after) if side]
            cause.but(f"what the model was fitted on {data.sameness(in_memory[0])}", *places)
    if alone and (causes[0].measures or not same_model):
        _weigh_alone(found, causes[0], in_memory if same_data else [])


def _weigh_alone(found: Found, cause: Cause, same: list[Pair]) -> None:
    """The only difference there is; `same` is what was fitted on, where that has the same content."""
    cause.for_("nothing else that was recorded differs")
    if same and cause.kind in {"data", "preparation"} and not cause.measures:
        _tell_order(found, cause, same)
        return
    if cause.doubtful or (
        cause.kind == "code" and (code.only_words(found.code) or code.only_others(found.code))
    ):
        return  # they do not become a cause by being alone
    if found.code["change"] != "unknown" and found.made.old["environment"] and found.made.new["environment"]:
        cause.strength = max(STRONG, cause.strength - 1)
    else:
        cause.but("code or environment was not wholly recorded on both sides")


def _tell_order(found: Found, cause: Cause, fitted: list[Pair]) -> None:
    """Where rows that are the same made another model: their order, which no fingerprint of rows has."""
    digests = [story.model["digest"] for story in (found.before, found.after)]
    if None not in digests and all(map(data.is_unordered, fitted)):
        cause.strength = POSSIBLE
        places = [place for pair in fitted for place in feeds.places_of(pair)]
        cause.for_(
            "in which order the rows came is not recorded: what goes by it, as a seeded forest, a split or "
            "batches, is another one in another order",
            *places,
        )


def _order(cause: Cause) -> tuple[object, ...]:
    return cause.strength, not cause.at_peak, _KINDS.index(cause.kind), -cause.weight, cause.subject


def _weigh_steps(found: Found, causes: list[Cause], beside: list[Cause]) -> None:
    """What the versions in between say: where a change came, and whether a figure moved there.

    `beside` are those that may have come in the same step.
    """
    names = [row["name"] for row in found.figures if figures.has_moved(row)]
    peak = max(found.steps, key=lambda step: step.moved.get(names[0], 0.0)) if names and found.steps else None
    for cause in causes:
        steps = [step for step in found.steps if cause.paths & step.changed]
        if steps and all(step.compared and not step.moved for step in steps):
            cause.strength = min(UNLIKELY, cause.strength + 1)
            cause.but(f"where it changed no figure moved: {_called(steps)}")
        elif peak in steps and peak.moved.get(names[0]):
            cause.at_peak = True
            alone = all(_came_elsewhere(found, one, peak) for one in beside if one is not cause)
            others = ", and nothing else that is told here did so" if alone else ""
            cause.for_(f"it changed where {names[0]} moved most: {_called([peak])}{others}")
            if alone and cause.strength == POSSIBLE and not cause.doubtful:
                cause.strength = STRONG


def _came_elsewhere(found: Found, cause: Cause, peak: Step) -> bool:
    """Whether a change is known to have come in other steps; where that of a feed came no step says."""
    return not cause.paths & peak.changed and any(cause.paths & step.changed for step in found.steps)


def _called(steps: list[Step]) -> str:
    return named([f"{step.before} → {step.after}" for step in steps])


def _evaluated(found: Found, causes: list[Cause]) -> list[Cause]:
    """Figures of the two versions that were measured on different data; a feed may have changed that too."""
    other: dict[str, list[Row]] = {}
    for row in found.figures:
        if row["same_data"] is False and figures.has_moved(row):
            other.setdefault(row["dataset"], []).append(row)
    made = []
    for dataset, rows in other.items():
        places = (rows[0]["place_before"], rows[0]["place_after"])
        text = f"{_metrics(rows)} measured on another content of {dataset}"
        if rows[0]["dataset_before"]:
            text = f"{_metrics(rows)} measured on {dataset}, before on {rows[0]['dataset_before']}"
        files = _files(found.after, rows[0]["run_after"], dataset)
        behind = [cause for cause in causes if _feeds(found, cause, {dataset, *files})]
        for cause in behind:
            cause.for_(f"it reached the evaluation too: {text}", *places)
            cause.measures = True
        if not behind:
            cause = Cause("evaluation data", dataset, "the figures were measured on other data", STRONG)
            cause.for_(text, *places)
            _tell_files(found, cause, rows[0], {dataset, *files})
            made.append(cause)
            if files and files == _files(
                found.before, rows[0]["run_before"], rows[0]["dataset_before"] or dataset
            ):
                cause.strength = UNLIKELY
                cause.but("it was made in the run from the same files", *places)
    return made


def _is_consequence(judged: Cause) -> bool:
    """Whether evaluation data is other than before since something else changed, if anything did."""
    return judged.strength == UNLIKELY


def _weighed(judged: list[Cause], causes: list[Cause]) -> list[Cause]:
    """Evaluation data; a consequence is possible where nothing is known that it can be one of."""
    if not any(one.strength < UNLIKELY for one in causes):
        for cause in judged:
            cause.strength = min(cause.strength, POSSIBLE)
    return judged


def _tell_files(found: Found, cause: Cause, figure: Row, names: set[str]) -> None:
    """What changed in the files that the figure was measured on, or on what was made of them."""
    sides = (found.before, figure["run_before"]), (found.after, figure["run_after"])
    for pair in data.files_of(*sides):
        if not pair.differs or pair.either.name not in names:
            continue
        places, moved = feeds.places_of(pair), [one for one in pair.drifts if one.told]
        cause.for_(f"the evaluation read {feeds.short(pair)}: {feeds.changed(pair)}", *places)
        cause.columns = [*cause.columns, *(one.column for one in moved)][:MUCH]
        for one in moved[:MUCH]:
            cause.for_(f"{one.column}: {feeds.describe(one)}", *places)


def _files(story: Story, run_id: str, dataset: str) -> dict[str, str | None]:
    """What the run that judged read beside data that existed only in memory: name -> content."""
    read = [row for row in story.datasets.get(run_id, ()) if row["role"] == "input"]
    if not any((row["namespace"], row["name"]) == (IN_MEMORY, dataset) for row in read):
        return {}
    return {
        row["name"]: row["fingerprint"] or row["version"]
        for row in read
        if row["namespace"] != IN_MEMORY and row["kind"] == "dataset"
    }


def _metrics(rows: list[Row]) -> str:
    return named(sorted({row["name"] for row in rows}))


def _feeds(found: Found, cause: Cause, datasets: set[str]) -> bool:
    """Whether evaluation data came of what changed: of the feed, or of the run that was made differently."""
    if cause.kind == "preparation":
        return any(
            row["job"].partition("/")[2] == cause.subject and _wrote(found, row["run_after"], datasets)
            for row in found.upstream
        )
    if cause.kind != "data":
        return False
    for pair in found.data:
        if any(root.either.name == cause.subject for root in data.roots(pair)):
            runs = pair.either.readers
            if pair.either.name in datasets or any(_wrote(found, run_id, datasets) for run_id in runs):
                return True
    return False


def _wrote(found: Found, run_id: str, datasets: set[str]) -> bool:
    return any(
        row["role"] == "output" and row["name"] in datasets for row in found.after.datasets.get(run_id, ())
    )

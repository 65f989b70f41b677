"""What changed in how a version was made: parameters, transformations, environment, seeds, upstream runs."""

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why import code
from modeltrail_collector.answers.why.facts import Story, nodes
from modeltrail_collector.answers.why.shares import choices, is_rounded
from modeltrail_collector.tables.differences import Change, Facts, aligned, differences, facts, full_name

_RECORDED_BY: Final = {
    "parameters": ("modelTrail_hyperparameters", "executionParameters"),
    "training": ("modelTrail_training",),
    "environment": ("modelTrail_environment", "processing_engine"),
}


class Made:
    """Both making runs' facts by section, and where they differ."""

    def __init__(self, before: Story, after: Story) -> None:
        self.before, self.after = before, after
        self.old, self.new = aligned(*(_facts(story, story.run_id) for story in (before, after)))
        data = self.old["dataInputs"], self.new["dataInputs"]
        self.changes = [
            change
            for change in differences(self.old, self.new)
            if change.section != "dataInputs" or not is_rounded(change, *data)
        ]

    def lacking(self, what: str) -> list[Story]:
        """The versions whose making run said nothing of its parameters, training or environment.

        A version of a library is no environment where the other version has a whole one.
        """
        stories = (self.before, self.after)
        keys = _RECORDED_BY[what]
        if any(story.find("modelTrail_environment") for story in stories):
            keys = tuple(key for key in keys if key != "processing_engine")
        found = [story for story in stories if not any(story.find(key) for key in keys)]
        return [story for story in found if what != "parameters" or not story.params]

    def section(self, name: str) -> list[Change]:
        """The differences of one section."""
        return [change for change in self.changes if change.section == name]

    def parameters(self) -> list[Row]:
        """Parameters that differ, with where each value came from; not those of steps that came or went."""
        if self.lacking("parameters"):
            return []
        steps = {
            change.path for change in self.section("transformations") if None in (change.before, change.after)
        }
        origins = [_origins(story) for story in (self.before, self.after)]
        return [
            {
                "name": change.path,
                "before": change.before,
                "after": change.after,
                "origin_before": origins[0].get(change.path),
                "origin_after": origins[1].get(change.path),
            }
            for change in self.section("parameters")
            if change.path.partition("__")[0] not in steps and not change.path.startswith("training.")
        ]

    def training(self) -> list[Row]:
        """Algorithm, seeds and the like that differ; how long it trained is a result, if not declared.

        Of one training somebody chose after which step it was saved.
        """
        if self.lacking("training"):
            return []
        said = [story.find("modelTrail_training") for story in (self.before, self.after)]
        is_declared = all(one is not None and one.value.get("capture") == "declared" for one in said)
        chosen = {"step"} if self.before.run_id == self.after.run_id else set()
        results = set() if is_declared else _RESULTS - chosen
        return [
            {
                "name": (name := change.path.removeprefix("training.")),
                "before": change.before,
                "after": change.after,
                "is_result": name in results,
            }
            for change in self.section("parameters")
            if change.path.startswith("training.")
        ]

    def hidden(self, section: str) -> list[str]:
        """What of parameters or transformations looks the same, where no more than a class is recorded."""
        old, new = self.old[section], self.new[section]
        return [path for path, text in new.items() if old.get(path) == text and _is_hidden(text)]

    def arguments(self) -> Row | None:
        """The command lines, where they differ in more than the version that is made."""
        lines = self.lines()
        return lines and {"before": " ".join(lines[0]), "after": " ".join(lines[1])}

    def lines(self) -> tuple[list[str], list[str]] | None:
        """The words of the command lines, where they differ in more than the version that is made.

        That is what stands at one place of both and is the version of each: any other `5` is an argument.
        """
        old, new = (argv(story) for story in (self.before, self.after))
        if old is None or new is None:
            return None
        for place, (was, now) in enumerate(zip(old, new, strict=False)):
            start = _before_version(was, self.before)
            if start is not None and start == _before_version(now, self.after):
                old[place] = new[place] = f"{start}VERSION"
        return None if old == new else (old, new)

    def environment(self) -> list[Row]:
        """Packages, environment variables and the like that differ: `kind` is package, variable or other."""
        rows = self._variables()
        if self.lacking("environment"):
            return rows
        for change in self.section("environment"):
            kind = "package" if change.path.startswith("packages.") else "other"
            name = change.path.removeprefix("packages.")
            rows.append({"kind": kind, "name": name, "before": change.before, "after": change.after})
        return rows

    def _variables(self) -> list[Row]:
        was, now = (_variables(story) for story in (self.before, self.after))
        if was is None or now is None:
            return []
        return [
            {"kind": "variable", "name": name, "before": was.get(name), "after": now.get(name)}
            for name in sorted(was.keys() | now.keys())
            if was.get(name) != now.get(name)
        ]


def _variables(story: Story) -> dict[str, str] | None:
    """The environment variables that a result can depend on; None where nobody told those of the run."""
    said = story.find("environmentVariables")
    told = said.value.get("environmentVariables") if said else None
    if not isinstance(told, list):
        return None
    return {str(each.get("name")): str(each.get("value")) for each in told if isinstance(each, dict)}


def _is_hidden(text: str) -> bool:
    """Whether of a value, or of what it holds, no more than its class or the name of a function is known.

    A digest beside the class says what it is. Of a function of a module the code says it; one of the script
    itself, or without a name, is another where the script decided so.
    """
    return _HIDDEN.search(text) is not None


_HIDDEN: Final = re.compile(r'\{"class":\s*"[^"]*"(,\s*"shape":[^\]]*\])?\}|<lambda>|<locals>|\b__main__\.')


def plain(changes: list[Change]) -> list[Row]:
    """Differences as JSON."""
    return [{"path": one.path, "before": one.before, "after": one.after} for one in changes]


_RESULTS: Final = frozenset({"epochs", "steps", "step"})
"""Set by a parameter, which then differs itself, or found by stopping early."""


def _facts(story: Story, run_id: str) -> Facts:
    found = facts(story.facets(run_id), [])
    state = {
        path: value for path, value in found.plain.get("code", {}).items() if not path.startswith(_LEFT_OUT)
    }
    environment = dict(found.plain.get("environment", {}))
    engine = story.find("processing_engine", run_id)
    if not environment and engine and isinstance(engine.value.get("version"), str):
        environment[str(engine.value.get("name") or "engine")] = engine.value["version"]
    parameters = dict(found.plain.get("parameters", {}))
    if run_id == story.run_id:
        for row in story.params:  # those of the standard facet too, where ours is not there
            parameters.setdefault(full_name(row["name"], row["component"]), row["value"])
        if story.model["step"] is not None:
            parameters["training.step"] = str(story.model["step"])
    plain = {"code": state, "environment": environment, "parameters": parameters}
    recorded = {section: lines for section, lines in plain.items() if lines or section in found.plain}
    return msgspec.structs.replace(found, plain=recorded)


_LEFT_OUT: Final = ("argv", "untracked")


def _origins(story: Story) -> dict[str, str | None]:
    return {full_name(row["name"], row["component"]): row["origin"] for row in story.params}


def argv(story: Story, run_id: str | None = None) -> list[str] | None:
    """The words of the command line of the making run, or of another; None where nobody recorded it."""
    said = story.find("modelTrail_codeState", run_id)
    told = said.value.get("argv") if said else None
    return [str(word) for word in told] if isinstance(told, list) else None


def _before_version(word: str, story: Story) -> str | None:
    """What stands before the version in an argument that may be the one that is made, as `--version=`."""
    start = word.removesuffix(story.model["version"])
    return start if start != word and start[-1:] in {"", "="} else None


def seeds(story: Story) -> dict[str, Any] | None:
    """The seeds that are fixed; {} where it is recorded that none is; None where nothing is recorded.

    Of a generator of which only the class is recorded nobody knows how it was seeded: None too.
    `split` is the seed by which the data was split, or the seeds of several splits.
    """
    said = story.find("modelTrail_training")
    told = said.value.get("seeds") if said else None
    found = {key: seed for key, seed in told.items() if seed is not None} if isinstance(told, dict) else {}
    for row in story.params:
        if is_seed(row["name"]) and row["value"] not in _NO_SEED:
            found[row["name"]] = row["value"]
    if any(isinstance(seed, dict) or _is_hidden(str(seed)) for seed in found.values()):
        return None
    splits = {
        seed
        for each in story.runs.get(story.run_id, ())
        if each.key == "modelTrail_dataUse"
        for choice in choices(each.value.get("split"))
        if isinstance(seed := choice.get("seed"), int)
    }
    if splits:
        found[SPLIT] = " and ".join(map(str, sorted(splits)))
    return found if found or said or story.params else None


def is_seed(parameter: str) -> bool:
    """Whether a parameter is called as seeds are."""
    return _SEED.search(parameter) is not None


SPLIT: Final = "split"
_SEED: Final = re.compile(r"(^|_|\.)(random_state|seed|random_seed)$")
_NO_SEED: Final = frozenset({None, "", "null", "None"})


def upstream(before: Story, after: Story, repository: Path | None) -> list[Row]:
    """Runs that prepared the data, job by job, where there are two: job, runs, code, differences.

    `differences` are those of parameters, transformations, code and environment, but for code that the run
    did not consist of; `code` is as `code.compare` says it; a job that is in one trail only is not told.
    """
    old, new = _writers(before), _writers(after)
    rows = []
    for job in sorted(old.keys() & new.keys()):
        was, now = old[job], new[job]
        if was == now:
            continue
        compared = code.compare(before, after, repository, (was, now))
        sections = {"parameters", "transformations", "environment"}
        if compared["change"] == "changed" and not code.only_others(compared):
            sections.add("code")
        found = [
            change
            for change in differences(*aligned(_facts(before, was), _facts(after, now)))
            if change.section in sections
        ]
        row = {"job": job, "run_before": was, "run_after": now, "code": compared, "differences": found}
        rows.append(row)
    return rows


def without_code(before: Story, after: Story) -> list[str]:
    """The jobs that prepared the data of both by other runs, and of which one told nothing of its code."""
    old, new = _writers(before), _writers(after)
    return [
        job.partition("/")[2]
        for job in sorted(old.keys() & new.keys())
        if old[job] != new[job]
        and not all(
            any(story.find(key, runs[job]) for key in _OF_CODE)
            for story, runs in ((before, old), (after, new))
        )
    ]


_OF_CODE: Final = ("modelTrail_codeState", "sourceCodeLocation", "sourceCode", "sql")


def _writers(story: Story) -> dict[str, str]:
    """Job -> its nearest run in the trail, the making run left out."""
    found: dict[str, str] = {}
    for node in nodes(story.trail):
        run = node["run"]
        if run and run["run_id"] != story.run_id:
            found.setdefault(f"{run['job_namespace']}/{run['job_name']}", run["run_id"])
    return found

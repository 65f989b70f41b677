"""Candidates among what measured the figures: runs that only evaluate, compared as making runs are.

A figure that the run which made a model measured, or a child of it, goes by that run's code.
"""

from pathlib import Path
from typing import Final

import msgspec

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.places import symlinks_of
from modeltrail_collector.answers.why import arguments, chosen, code, environment, figures, making
from modeltrail_collector.answers.why.arguments import Changed
from modeltrail_collector.answers.why.cause import Cause, Found, named
from modeltrail_collector.answers.why.facts import Place, Story
from modeltrail_collector.answers.why.made import Made

_TELLING: Final = ("modelTrail_codeState", "modelTrail_hyperparameters", "modelTrail_environment")


class Measured(msgspec.Struct, frozen=True):
    """The figures that one run measured of each version, and what is compared of the two runs.

    `trained_with` are parameters that are the versions' own, where both runs made these too, to the byte.
    """

    figures: list[Row]
    found: Found
    trained_with: list[Row]

    @property
    def _is_one_program(self) -> bool:
        """Whether both began with one program, as far as is known: else they take other arguments."""
        sides = (self.code["before"], self.code["after"])
        return len({side and side["entry_point"] for side in sides}) == 1

    @property
    def names(self) -> list[str]:
        """What the figures are called."""
        return sorted({row["name"] for row in self.figures})

    @property
    def code(self) -> Row:
        """How the code of the two differs: see `code.compare`."""
        return self.found.code

    def told(self) -> Row:
        """As JSON."""
        return {
            "run_before": self.found.before.run_id,
            "run_after": self.found.after.run_id,
            "figures": self.names,
            "params": self._parameters(),
            "arguments": self.found.made.arguments(),
            "code": self.code,
            "environment": self.found.made.environment(),
        }

    def causes(self) -> list[Cause]:
        """What differs between the two runs, where a figure moved that they measured."""
        moved = [row for row in self.figures if figures.has_moved(row)]
        others = [row for row in self.found.figures if row not in self.figures and figures.has_moved(row)]
        causes = self._candidates() if moved else []
        for cause in causes:
            is_idle = code.only_words(self.code) or code.only_others(self.code)
            cause.doubtful = cause.doubtful or (cause.kind == "code" and is_idle)
            cause.kind, cause.paths, cause.measures = "evaluation", frozenset(), True
            cause.for_(f"it measured {_names(moved)}", *_places(moved))
            if others:
                cause.but(f"{_names(others)} moved too, which it did not measure", *_places(others))
        return causes

    def _parameters(self) -> list[Row]:
        """Parameters that differ; those of a run that trained are of that, whatever else it judged."""
        if any(story.find("modelTrail_training") for story in (self.found.before, self.found.after)):
            return []
        return self.found.made.parameters()

    def _candidates(self) -> list[Cause]:
        given = self.found.made.parameters() if self._is_one_program else []
        rows = [row for row in self._parameters() if row in given and row not in self.trained_with]
        changed = [Changed(row["name"], row["before"], row["after"]) for row in given]
        changed += _models(self.found)
        return [
            *chosen.choices(self.found, rows),
            *(
                arguments.candidates(self.found, changed, nothing_else=not given)
                if self._is_one_program
                else ()
            ),
            *making.of_code(self.found),
            *environment.candidates(self.found),
        ]


def compare(found: Found, repository: Path | None) -> list[Measured]:
    """The runs that measured a figure of both versions, where these are not the ones that made them."""
    together: dict[tuple[str, str], list[Row]] = {}
    for row in found.figures:
        if row["source"] == "evaluation" and None not in (row["before"], row["after"]):
            runs = _measurer(found.before, row["run_before"]), _measurer(found.after, row["run_after"])
            together.setdefault(runs, []).append(row)
    making_runs = (found.before.run_id, found.after.run_id)
    measured = []
    for runs, rows in together.items():
        if runs == making_runs or runs[0] == runs[1]:
            continue
        before, after = (
            story.measured_by(run) for story, run in zip((found.before, found.after), runs, strict=True)
        )
        of = msgspec.structs.replace(
            found,
            before=before,
            after=after,
            made=Made(before, after),
            code=code.compare(before, after, repository),
            upstream=[],
            steps=[],
        )
        are_making = all(map(_made, (found.before, found.after), runs))
        measured.append(Measured(rows, of, found.made.parameters() if are_making else []))
    return measured


def _made(story: Story, run_id: str) -> bool:
    """Whether a run put out just the bytes of a version: as another that was made in the same way did."""
    return any(
        row["role"] == "output" and row["fingerprint"] == story.model["digest"] is not None
        for row in story.datasets.get(run_id, ())
    )


def _models(found: Found) -> list[Changed]:
    """The models that the two runs read, by which an argument may name the version."""
    old, new = (
        sorted({
            name
            for row in story.datasets.get(story.run_id, ())
            if row["role"] == "input" and row["kind"] == "model"
            for name in (row["name"], *(link["name"] for link in symlinks_of(row)))
        })
        for story in (found.before, found.after)
    )  # fmt: skip
    return [Changed("model", was, now) for was in old for now in new if was != now]


def _names(rows: list[Row]) -> str:
    return named(sorted({row["name"] for row in rows}))


def _places(rows: list[Row]) -> list[Place | None]:
    return [rows[0][f"place_{side}"] for side in ("before", "after")]


def _measurer(story: Story, run_id: str) -> str:
    """The run that says by what a figure was measured: itself, or the one that it is a child of."""
    if not any(story.find(key, run_id) for key in _TELLING):
        said = story.find("parent", run_id)
        run = said.value.get("run") if said else None
        above = run.get("runId") if isinstance(run, dict) else None
        if isinstance(above, str) and above in story.runs:
            return above
    return run_id

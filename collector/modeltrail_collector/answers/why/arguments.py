"""The command line as a candidate: arguments that differ, and that nothing else that changed accounts for.

An argument that is a parameter, or names the data, is told where that changed: it has the values of that on
both sides. One change accounts for one argument, of several for the one that is called like it.
"""

import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.why.cause import (
    POSSIBLE,
    UNLIKELY,
    Cause,
    Found,
    named,
    said_by_both,
    same_value,
    shown,
)
from modeltrail_collector.answers.why.facts import Story
from modeltrail_collector.answers.why.made import argv
from modeltrail_collector.tables.differences import Change

_OPTION: Final = re.compile(r"--?[A-Za-z]")
_SETTING: Final = re.compile(r"[A-Za-z_][\w.]*=")
"""An argument that is a name and a value, as Hydra's `model.depth=3`."""


class Changed(NamedTuple):
    """An argument, parameter or the like that differs, by its name; None on the side that lacks it."""

    name: str
    before: str | None
    after: str | None

    @property
    def text(self) -> str:
        """`--depth 2 → 3`; an option without a value is given, or not there."""
        values = (shown("given" if value == "" else value) for value in (self.before, self.after))
        colon = "" if self.name.startswith("-") else ":"
        return f"{self.name}{colon} {' → '.join(values)}"


def candidates(found: Found, changed: list[Changed], *, nothing_else: bool) -> list[Cause]:
    """The command line, where it says more than `changed`; `nothing_else`: no recorded parameter differs."""
    lines = found.made.lines()
    if lines is None:
        return []
    versions = Changed("version", found.before.model["version"], found.after.model["version"])
    left = _left(_differing(*lines), [versions, *changed, *_data(found)])
    telling = [one for one in left if not _names_output(found, one)]
    if not left or not (telling or nothing_else):
        return []
    what = named([one.text for one in telling or left])
    cause = Cause("parameters", "command line", what, POSSIBLE if telling else UNLIKELY)
    before, after = (" ".join(line) for line in lines)
    cause.for_(f"{before} → {after}", *said_by_both(found, "modelTrail_codeState"))
    if not telling:
        cause.doubtful = True
        cause.but("it only says what the run wrote")
    elif nothing_else:
        cause.but("no recorded parameter differs")
    else:
        cause.for_(f"no parameter that differs accounts for {named([one.name for one in telling])}")
    return [cause]


def preparing(before: Story, after: Story, upstream: list[Row]) -> list[Row]:
    """Of runs that prepared the data (rows of `made.upstream`) those that were made or called differently.

    An argument that names what its run read or wrote is told where that changed.
    """
    for row in upstream:
        sides = ((before, row["run_before"]), (after, row["run_after"]))
        old, new = (argv(*side) for side in sides)
        told = [Changed(*each) for each in ((one.path, one.before, one.after) for one in row["differences"])]
        left = _left(_differing(old, new), told) if old and new else []
        row["differences"] += [
            Change("arguments", one.name, one.before, one.after) for one in left if not _names(one, sides)
        ]
    return [row for row in upstream if row["differences"]]


def _differing(before: list[str], after: list[str]) -> list[Changed]:
    old, new = _read(before), _read(after)
    return [
        Changed(name, old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and not same_value(old.get(name), new.get(name))
    ]


def _read(line: list[str]) -> dict[str, str]:
    """Options and settings by name, what else there is by its place; of an option given twice both values."""
    values: dict[str, list[str]] = {}
    option, place = None, 0
    for word in line[1:]:
        name, is_set, value = word.partition("=")
        if _OPTION.match(word) or _SETTING.match(word):
            values.setdefault(name, []).extend([value] if is_set else [])
            option = None if is_set else name
        elif option:
            values[option].append(word)
            option = None
        else:
            place += 1
            values[f"argument {place}"] = [word]
    return {name: " ".join(several) for name, several in values.items()}


def _left(arguments: list[Changed], changed: list[Changed]) -> list[Changed]:
    """The arguments that no change accounts for."""
    free, left = [*changed], [*arguments]
    for alike in (True, False):
        waiting, left = left, []
        for argument in waiting:
            mine = [one for one in free if _says(argument, one) and _called_alike(argument, one) >= alike]
            # Several parameters that are called so may be one argument; of others each is one.
            taken = mine if alike else mine[:1]
            free = [one for one in free if one not in taken]
            left += [] if mine else [argument]
    return left


def _says(argument: Changed, change: Changed) -> bool:
    """Whether an argument has the values of a change on each side on which it is there."""
    if "" in (argument.before, argument.after):  # an option without a value
        return _called_alike(argument, change)
    sides = ((argument.before, change.before), (argument.after, change.after))
    return all(value is None or _is_in(value, other) for value, other in sides)


def _is_in(value: str, other: str | None) -> bool:
    if other is None or same_value(value, other):
        return other is not None
    is_name = len(value) > 2 and not value.replace(".", "").isdigit()
    return is_name and value.lower() in other.lower()


def _called_alike(argument: Changed, change: Changed) -> bool:
    """`--depth` and `max_depth`."""
    one, other = (re.split(r"[^a-z0-9]+", text.name.lower().strip("-")) for text in (argument, change))
    called = [part for part in one if part != "no"]
    return bool(called) and all(part in other for part in called)


def _data(found: Found) -> list[Changed]:
    """Data, of the training and of the evaluation, that has another name."""
    pairs = [(pair.before.name, pair.after.name) for pair in found.data if pair.before and pair.after]
    pairs += [(row["dataset_before"], row["dataset"]) for row in found.figures if row["dataset_before"]]
    return [Changed("data", before, after) for before, after in dict.fromkeys(pairs) if before != after]


def _names_output(found: Found, argument: Changed) -> bool:
    """Whether an argument is a name, on both sides, of what the run wrote."""
    sides = ((story, story.run_id) for story in (found.before, found.after))
    return _names(argument, sides, {"output"})


def _names(
    argument: Changed, sides: Iterable[tuple[Story, str]], roles: Collection[str] = ("input", "output")
) -> bool:
    """Whether an argument is a name, on both sides, of what a run read or wrote."""
    return all(
        value is not None
        and any(row["role"] in roles and _is_in(value, row["name"]) for row in story.datasets.get(run_id, ()))
        for (story, run_id), value in zip(sides, (argument.before, argument.after), strict=True)
    )

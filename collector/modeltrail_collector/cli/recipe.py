"""How a recipe, and what differs from it here, look to a person."""

import shlex
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from modeltrail_collector.answers.recipe import repository
from modeltrail_collector.cli import story
from modeltrail_collector.cli.story import Line
from modeltrail_collector.cli.trail import bold, dim, label, short
from modeltrail_schemas.printable import all_printable, printable_lines
from modeltrail_schemas.words import counted

NOT_RECORDED: Final = "not recorded"
_WIDTH: Final = 100
_INDENT: Final = "    "
_SHOWN: Final = 5


def print_recipe(answer: dict[str, Any], sections: Sequence[str]) -> None:
    """Print these sections of the answer of `answers.reproduce`."""
    shown = all_printable(answer)
    for number, name in enumerate(sections):
        if number:
            click.echo()
        click.echo(story.title(shown["model"]) if name == "model" else bold(_HEADINGS.get(name, name)))
        story.print_lines(_SECTIONS[name](shown))
        if name == "environment":
            _print_packages(shown["environment"] or {})
        elif name == "code" and (diff := (answer["code"] or {}).get("diff")):
            click.echo(textwrap.indent(printable_lines(diff.rstrip("\n")), _INDENT))


def _print_packages(environment: dict[str, Any]) -> None:
    packages = environment.get("packages")
    if packages is not None:
        text = ", ".join(f"{each['name']} {each['version']}" for each in packages)
        lines = textwrap.wrap(text, _WIDTH, break_on_hyphens=False, break_long_words=False)
        click.echo(textwrap.indent("\n".join(lines), _INDENT))


def print_check(answer: dict[str, Any]) -> None:
    """Print what differs, with the recorded and the found value, and what could not be compared."""
    shown = all_printable(answer)
    differences = shown["differences"]
    verdict = f"{len(differences)} of {shown['compared']} things differ"
    if not differences:
        is_known = all(each["section"] != "code" for each in shown["not_compared"])
        known = "nothing differs, of" if is_known else "not all of the code was compared; no difference among"
        compared = shown["compared"]
        verdict = f"{known} {compared} things compared" if compared else "nothing could be compared"
    click.echo(bold(f"{shown['model']}: {verdict}"))
    for each in differences:
        click.echo(f"  {each['section']}: {label('file', each['name'])}")
        click.echo(f"{_INDENT}recorded  {each['recorded']}")
        click.echo(f"{_INDENT}found     {each['found']}")
    if shown["not_compared"]:
        click.echo(dim("not compared"))
        story.print_lines(
            (each["section"], label("file", each["name"]), each["why"], "") for each in shown["not_compared"]
        )


def _model(answer: dict[str, Any]) -> list[Line]:
    artifact, training = answer["artifact"] or {}, answer["training"] or {}
    digest = " ".join(filter(None, (artifact.get("algorithm"), artifact.get("digest"))))
    framework = " ".join(filter(None, (training.get("framework"), training.get("frameworkVersion"))))
    return [
        ("algorithm", _said(training.get("algorithm")), story.learned(training)),
        ("framework", _said(framework), ""),
        ("digest", _said(digest), story.learned(artifact)),
        ("written to", _said(artifact.get("uri")), ""),
    ]


def _run(answer: dict[str, Any]) -> list[Line]:
    return story.lines("run", answer["run"]) or [(NOT_RECORDED, "")]


def _data(answer: dict[str, Any]) -> list[Line]:
    """A line of columns for each dataset, and below it how to get that version."""
    told = [*(answer["data"] or ()), *answer["judged_on"]]
    rows = [
        (
            label(data["namespace"], data["name"]),
            data["use"] or "",
            f"version {short(data['version']) if data['version'] else NOT_RECORDED}",
            counted(data["rows"], "row") if data["rows"] is not None else "",
            f"fingerprint {_fingerprint(data['fingerprint'])}",
        )
        for data in told
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines: list[Line] = []
    for row, data in zip(rows, told, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines += [("  ".join(cells).rstrip(), story.learned(data)), (f"  {data['how']}", "")]
    return lines or [(NOT_RECORDED, "")]


def _fingerprint(found: dict[str, Any] | None) -> str:
    if found is None:
        return NOT_RECORDED
    scope = f" ({found['scope']})" if found["scope"] else ""
    return f"{found['algorithm'] or ''} {short(found['digest'])}{scope}".lstrip()


def _code(answer: dict[str, Any]) -> list[Line]:
    code = answer["code"]
    if code is None:
        return [(NOT_RECORDED, "")]
    location = code["location"] or {}
    files = code["untracked"] or ()
    untracked = [f"{file['path']} {short(file['sha256'] or '')}".rstrip() for file in files[:_SHOWN]]
    untracked += [f"and {len(files) - _SHOWN} more (--json)"] if len(files) > _SHOWN else []
    untracked += [code["untracked_left_out"]] if code["untracked_left_out"] else []
    others = code["elsewhere"]
    outside = [f"{file['name']} {short(file['sha256'] or NOT_RECORDED)}" for file in (others or ())[:_SHOWN]]
    outside += [f"and {len(others) - _SHOWN} more (--json)"] if others and len(others) > _SHOWN else []
    where = code["directory"]
    directory = code["cwd"] if where is None else f"{where} of {code['root']}"
    said = {
        "repository": repository(location.get("repository"), location.get("url"), code["root"]),
        "commit": code["commit"],
        "branch": location.get("branch"),
        "uncommitted": _CHANGES.get(code["diff_state"])
        if code["commit"] or code["vcs"]
        else story.UNVERSIONED,
        "untracked": ", ".join(untracked) or ("none" if code["untracked"] is not None else None),
        "elsewhere": ", ".join(outside) or (None if others is None else "none"),
        "entry point": code["entry_point"],
        "command": shlex.join(code["command"]) if code["command"] else None,
        "directory": directory,
    }
    if code["source_sha256"]:
        said["source"] = code["source_sha256"]
    learned = {"repository": story.learned(location), "entry point": story.learned(code)}
    learned["command"] = "inferred" if code["command_capture"] == "inferred" else ""
    return [(name, _said(value), learned.get(name, "")) for name, value in said.items()]


_CHANGES: Final = {
    "none": "no changes",
    "whole": "changes, as below",
    "redacted": "changes, as below, with secrets taken out: they cannot be applied",
    "cut": "changes, of which only the beginning is below: they cannot be applied",
    "binary": "changes, as below, without those of binary files: they cannot be applied",
}


def _params(answer: dict[str, Any]) -> list[Line]:
    return story.lines("params", answer["params"]) or [(NOT_RECORDED, "")]


def _seeds(answer: dict[str, Any]) -> list[Line]:
    lines: list[Line] = []
    for seed in answer["seeds"]:
        value = "not set" if seed["value"] is None else str(seed["value"])
        lines.append((seed["name"], value if seed["recorded"] else NOT_RECORDED, story.learned(seed)))
    return lines


def _environment(answer: dict[str, Any]) -> list[Line]:
    environment = answer["environment"]
    if environment is None:
        return [(NOT_RECORDED, "")]
    variables, packages = environment["variables"], environment["packages"]
    said = {
        "python": _words(environment["python"], environment["implementation"]),
        "system": _words(environment["system"], environment["architecture"]),
        "lock file": _values(environment["lockfile"]),
        "container": _values(environment["container"]),
        "hardware": _values(environment["hardware"]),
        "variables": None if variables is None else _values(variables) or "none of those that matter was set",
        "packages": None if packages is None else f"{len(packages)}, as below",
    }
    learned = {"python": story.learned(environment)}
    return [(name, _said(value), learned.get(name, "")) for name, value in said.items()]


def _problems(answer: dict[str, Any]) -> list[Line]:
    missing = answer["not_recorded"]
    lines: list[Line] = [(problem["text"], "") for problem in answer["problems"]]
    if missing:
        lines.append((f"{NOT_RECORDED}: {', '.join(missing)}", ""))
    return lines or [("none", "")]


def _said(value: str | None) -> str:
    return value or NOT_RECORDED


def _words(*words: str | None) -> str:
    return " ".join(word for word in words if word)


def _values(found: dict[str, Any] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (found or {}).items())


_HEADINGS: Final = {
    "run": "made by",
    "params": "parameters",
    "problems": "what stands in the way",
}
_SECTIONS: Final[dict[str, Callable[[dict[str, Any]], list[Line]]]] = {
    "model": _model,
    "run": _run,
    "data": _data,
    "code": _code,
    "params": _params,
    "seeds": _seeds,
    "environment": _environment,
    "problems": _problems,
}
SECTIONS: Final = tuple(_SECTIONS)

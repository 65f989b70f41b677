"""Writes docs/commands.md from the commands themselves; `--check` says whether the page is up to date."""

import inspect
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
INTRO = """\
# Commands

stdout is the answer, stderr everything else; `--json` gives every answer as one JSON document. Tables and
progress bars appear on a terminal only, a pipe gets tab-separated lines; `NO_COLOR` is honoured. The log is
`--log URI`, else `MODELTRAIL_LOG`, else `./lineage`. A model or dataset is named by its name, a unique ending
of it, its path or its fingerprint; a model that is a file also without the file's ending, `churn` for
`churn.joblib`, where nothing else is called so.

This page is written by `tools/commands.py` from the commands' own help.

## Exit codes

| code | meaning |
|---|---|
| 0 | yes: done, verified, found |
| 1 | the answer is no: not verified, not found, a check failed |
| 2 | usage: an option, a setting or a missing package |
| 4 | Kafka, the store or a backend cannot be reached; a retry may help |
| 70 | a bug in modeltrail; please report what it printed |
| 130 | Ctrl-C |

`modeltrail run` ends with the exit code of the command it ran, 128 + n when that died of signal n.
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups opened, sorted."""
    for found in sorted(entry_points(group="modeltrail.commands")):
        command = found.load()
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield found.name, command
            yield from ((f"{found.name} {name}", inner) for name, inner in sorted(command.commands.items()))
        else:
            yield found.name, command


def section(name: str, command: click.Command) -> str:
    """A command's part of the page: what it does, examples, arguments and options."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    context = click.Context(command, info_name=f"modeltrail {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## modeltrail {name}", "", f"`modeltrail {name} {usage}`", ""]
    for paragraph in paragraphs:
        if paragraph.startswith("\b\n"):
            lines += ["```text", *paragraph.splitlines()[1:], "```", ""]
        else:
            lines += [" ".join(paragraph.split()), ""]
    options = [record for option in command.params if (record := option.get_help_record(context))]
    lines += ["| option | meaning |", "|---|---|"]
    lines += [
        f"| `{names.replace('|', '/')}` | {' '.join(text.replace('|', '/').split())} |"
        for names, text in options
    ]
    return "\n".join([*lines, ""])


def page() -> str:
    """The whole page."""
    return "\n".join([INTRO, *(section(name, command) for name, command in commands())])


if __name__ == "__main__":
    written = page()
    if "--check" in sys.argv:
        sys.exit(
            PAGE.read_text(encoding="utf-8") != written
            and "docs/commands.md is stale: python tools/commands.py"
        )
    PAGE.write_text(written, encoding="utf-8")

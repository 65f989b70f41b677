"""`modeltrail reproduce`: how to make a model version again, what differs here, and the script for it."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from modeltrail_collector.cli.asking import asking, past_options
from modeltrail_collector.cli.output import json_option, log_option, print_json

SECTIONS = ("model", "run", "data", "code", "params", "seeds", "environment", "problems")
_FIELDS = {
    "model": ("model", "training", "artifact", "outputs"),
    "data": ("data", "judged_on"),
    "problems": ("problems", "not_recorded"),
}


@click.command()
@click.argument("model", metavar="[MODEL[@VERSION]]", required=False)
@log_option
@json_option
@past_options
@click.option(
    "--section",
    "sections",
    type=click.Choice(SECTIONS),
    multiple=True,
    help="Only this section; may be given more than once. With --check: code, data, environment or model.",
)
@click.option(
    "--script",
    "script_file",
    metavar="[FILE]",
    is_flag=False,
    flag_value="-",
    help="Write a shell script that makes the model again, to FILE or stdout.",
)
@click.option(
    "--check",
    "where",
    metavar="DIR|now",
    help="Compare with the code in DIR, the data and the packages; `now` is the place where it was made.",
)
@click.option(
    "--python",
    metavar="PROGRAM",
    default=sys.executable,
    show_default="the one that runs modeltrail",
    help="With --check: the interpreter whose packages are compared.",
)
@click.option(
    "--result",
    "result_uri",
    metavar="LOG",
    help="With --check: the log of a new run, to compare what never was a file.",
)
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="In place of MODEL: a recipe written with --json.",
)
def reproduce(
    model: str | None,
    log_uri: str,
    *,
    as_json: bool,
    as_of: datetime | None,
    known_at: datetime | None,
    sections: tuple[str, ...],
    script_file: str | None,
    where: str | None,
    python: str,
    result_uri: str | None,
    recipe_file: Path | None,
) -> int:
    """How to make this model version again.

    Data, code with its uncommitted changes, parameters, seeds and environment, each with where it was said;
    what nobody said is `not recorded`. --check says what differs here, and ends with exit code 1 if something
    does, or nothing could be compared. --script writes a shell script that does it: read it first.

    \b
    modeltrail reproduce churn@3
    modeltrail reproduce churn@3 --check now
    modeltrail reproduce churn@3 --check ~/churn --python ~/churn/.venv/bin/python --section environment
    modeltrail reproduce churn@3 --script churn-3.sh
    modeltrail reproduce churn@3 --json > churn-3.json
    """
    if (model is None) == (recipe_file is None):
        raise click.UsageError("Name a MODEL, or a --recipe FILE.")
    if script_file is not None and where is not None:
        raise click.UsageError("Ask for --script or for --check.")
    if recipe_file is not None:
        answer = _read(recipe_file)
    else:
        from modeltrail_collector import answers

        with asking(log_uri, as_of, known_at) as db:
            answer = answers.reproduce(db, model or "")
    if where is not None:
        return _check(answer, where, python, sections, result_uri, as_json=as_json)
    if script_file is not None:
        _write_script(answer, script_file)
    elif as_json:
        kept = [field for name in sections or SECTIONS for field in _FIELDS.get(name, (name,))]
        print_json({name: answer[name] for name in kept})
    else:
        from modeltrail_collector.cli import recipe

        recipe.print_recipe(answer, sections or SECTIONS)
    return 0


def _read(file: Path) -> dict[str, Any]:
    """A recipe from a file, as `--json` wrote it, in all sections."""
    import msgspec

    from modeltrail_collector.answers import recipe
    from modeltrail_collector.errors import ConfigError

    try:
        answer = msgspec.json.decode(file.read_bytes())
    except (msgspec.DecodeError, OSError) as error:
        raise ConfigError(f"{file} is no recipe: {error}") from None
    if not isinstance(answer, dict):
        raise ConfigError(f"{file} is no recipe: write one with `modeltrail reproduce MODEL --json`")
    known: dict[str, Any] = msgspec.to_builtins(recipe.read(answer))
    return known


def _check(
    answer: dict[str, Any],
    where: str,
    python: str,
    sections: tuple[str, ...],
    result_uri: str | None,
    *,
    as_json: bool,
) -> int:
    from modeltrail_collector import answers
    from modeltrail_collector.answers import here
    from modeltrail_collector.cli import recipe
    from modeltrail_collector.log import open_log

    if wrong := sorted(set(sections) - set(here.SECTIONS)):
        raise click.UsageError(f"--check has no section {wrong[0]!r}: it has {', '.join(here.SECTIONS)}.")
    told = answers.check(
        answer,
        _folder(answer, where),
        python=python,
        sections=sections or None,
        result=open_log(result_uri) if result_uri else None,
    )
    if as_json:
        print_json(told)
    else:
        recipe.print_check(told)
    return 0 if told["compared"] and told["equal"] else 1


def _folder(answer: dict[str, Any], where: str) -> Path:
    """`now` is where it was made: the working tree, else the working directory, else where we are."""
    code = answer["code"] or {}
    return Path(code.get("root") or code.get("cwd") or ".") if where == "now" else Path(where)


def _write_script(answer: dict[str, Any], file: str) -> None:
    from modeltrail_collector import answers
    from modeltrail_collector.errors import ConfigError

    text = answers.script(answer)
    if file == "-":
        click.echo(text, nl=False)
        return
    try:
        with Path(file).open("x", encoding="utf-8") as script:
            script.write(text)
        Path(file).chmod(0o755)
    except FileExistsError:
        raise ConfigError(f"{file} is there already: name another file, or remove it") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"{file} is written. Read it, then: sh {file}", err=True)

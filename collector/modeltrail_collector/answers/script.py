"""A recipe as a shell script that makes the model again in a fresh folder.

Everything in a recipe was said by strangers: it reaches the script only as single-quoted words, and as
documents whose end is a line that is not in them. No comment, no variable's name and no option is theirs.
"""

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from modeltrail_collector.answers import recipe as recipes
from modeltrail_collector.answers.obstacles import start_problem
from modeltrail_collector.answers.recipe import COMMIT, FILE, Code, Environment, Recipe
from modeltrail_collector.answers.reproduce import REDACTED
from modeltrail_schemas.printable import printable
from modeltrail_schemas.variables import RESULT_VARIABLES

_HEAD: Final = """#!/bin/sh
# Makes a model version again, as `modeltrail reproduce` found it recorded: clones the code, applies the
# uncommitted changes, checks the data, builds the environment, runs the command and compares the new model.
#
#     sh SCRIPT [FOLDER]           FOLDER must not exist yet
#
# READ IT BEFORE YOU RUN IT: it runs the code that was recorded.
#
#     REPRODUCE_REPOSITORY=URL     clone from there
#     REPRODUCE_PYTHON=PYTHON      this interpreter with what is installed in it: no environment is made, no
#                                  network is needed
#     REPRODUCE_PACKAGES="A B"     install these too, for packages that are not from an index: folders, wheels
#     REPRODUCE_ANYWAY=1           go on where something is missing or differs
#     REPRODUCE_SECRET_1=...       an argument that was taken out of the record, by its number in the script
#     PIP_NO_INDEX, PIP_FIND_LINKS, PIP_INDEX_URL are pip's own
set -eu
"""
_PYTHON: Final = re.compile(r"(?:python|pypy)[\d.]*")
_MINOR: Final = re.compile(r"(\d+\.\d+)(?:\..*)?")


def script(answer: Mapping[str, Any]) -> str:
    """The POSIX shell script that makes the model of an answer of `reproduce` again.

    Raises ConfigError for what is no recipe.
    """
    recipe = recipes.read(answer)
    code = recipe.code or Code()
    minor = _MINOR.fullmatch(recipe.environment.python or "") if recipe.environment else None
    location = code.location.repository if code.location else None
    values = {
        "title": printable(recipe.title),
        "repository": location or "",
        "root": code.root or "",
        "commit": code.commit if code.commit and COMMIT.fullmatch(code.commit) else "",
        "directory": code.directory or ".",
        "python_version": minor[1] if minor else "",
        "shown": printable(shlex.join(code.command)) if code.command else "",
    }
    digest = hashlib.sha256(json.dumps(answer, sort_keys=True, default=str).encode()).hexdigest()
    parts = [
        _HEAD,
        "\n".join(f"{name}={_quoted(value)}" for name, value in values.items()),
        f'work=${{1:-"./reproduced-{digest[:12]}"}}\n',
        _function("tell_problems", _problems(recipe)),
        _function("write_files", _files(answer, recipe)),
        _function("bring_files", [f"bring {_quoted(path)}" for path in _loose(recipe)]),
        _function("prepare_places", _places(recipe)),
        _function("set_variables", _variables(recipe.environment, code.root)),
        _function("need_packages", [f"need {_quoted(name)}" for name in _by_hand(recipe)]),
        _function("run_command", _command(code)),
        resources.files("modeltrail_collector.answers").joinpath("reproduce.sh").read_text(encoding="utf-8"),
    ]
    return "\n".join(parts)


def _function(name: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines) or ":"
    return f"{name}() {{\n{body}\n}}\n"


def _quoted(text: str) -> str:
    """One word of the shell, whatever is in it; a NUL has no place in one.

    What acts on a terminal is written in octal: whoever reads the script sees all of it.
    """
    text = text.replace("\0", "")
    if _is_plain(text):
        return shlex.quote(text)
    body = text.rstrip("\n")  # `$(...)` takes line ends off
    octal = "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\{byte:03o}"
        for byte in body.encode("utf-8", "replace")
    )
    end = text[len(body) :]
    return f"\"$(printf '{octal}')\"{shlex.quote(end) if end else ''}"


def _is_plain(text: str) -> bool:
    return all(one.isprintable() or one in "\n\t" for one in text)


def _problems(recipe: Recipe) -> list[str]:
    lines = [
        f"{'doubt' if problem.stops else 'say'} {_quoted(printable(problem.text))}"
        for problem in recipe.problems
    ]
    code = recipe.code
    if code is None or not code.commit or not COMMIT.fullmatch(code.commit):
        lines.append("stop 'Without a commit there is nothing to fetch.'")
    elif _command(code) == []:
        lines.append("stop 'Without a command there is nothing to run.'")
    if left := _by_hand(recipe):
        names = printable(", ".join(left))
        lines.append(f"say {_quoted(f'Not from an index: {names}.')}")
    return lines


def _by_hand(recipe: Recipe) -> list[str]:
    """Packages that no index has: of a folder, or installed to be edited."""
    packages = (recipe.environment.packages if recipe.environment else None) or ()
    return [package.name for package in packages if package.install is None]


def _files(answer: Mapping[str, Any], recipe: Recipe) -> list[str]:
    sections = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in answer.items())
    lines = _document("recipe.json", f"{{\n{sections}\n}}\n")
    if recipe.code and recipe.code.diff and recipe.code.diff_state == "whole":
        lines += _document("changes.diff", recipe.code.diff)
    packages = (recipe.environment.packages if recipe.environment else None) or ()
    return lines + _document(
        "requirements.txt", "".join(f"{each.install}\n" for each in packages if each.install)
    )


def _document(name: str, text: str) -> list[str]:
    """A here-document: quoted, so that nothing in it is expanded, and with an end that is not in it.

    Text that cannot be seen as it is goes in base64.
    """
    how = "cat"
    if not _is_plain(text) or not text.endswith("\n"):
        how, text = "base64 -d", base64.encodebytes(text.encode("utf-8", "replace")).decode()
    end = f"END_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return [f"{how} >\"$work/{name}\" <<'{end}'", *text.splitlines(), end]


def _loose(recipe: Recipe) -> list[str]:
    """What lay in the working tree and that git may not hold: untracked files, and the data."""
    names = [file.path for file in (recipe.code.untracked if recipe.code else None) or ()]
    names += [
        within
        for data in (*(recipe.data or ()), *recipe.judged_on)
        if data.namespace == FILE and (within := recipes.inside(data.name, recipe.root))
    ]
    return [
        name
        for name in names
        if not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
    ]


def _places(recipe: Recipe) -> list[str]:
    """Folders that the run writes to, and no old model in them that could pass for the new one."""
    uri = urlsplit((recipe.artifact.uri if recipe.artifact else None) or "")
    model = recipes.inside(unquote(uri.path), recipe.root) if uri.scheme == FILE else None
    written = [
        recipes.inside(str(output["name"]), recipe.root)
        for output in recipe.outputs
        if output.get("namespace") == FILE
    ]
    lines = [
        f'mkdir -p -- "$src/"{_quoted(str(PurePosixPath(within).parent))}'
        for within in [*written, model]
        if within
    ]
    return [*dict.fromkeys(lines), *([f'rm -rf -- "$src/"{_quoted(model)}'] if model else [])]


def _variables(environment: Environment | None, root: str | None) -> list[str]:
    """Set what was set, unset what was not; only the known ones: PATH and LD_PRELOAD are nobody's to say."""
    if environment is None or environment.variables is None:
        return []
    lines = []
    for name in RESULT_VARIABLES:
        value = environment.variables.get(name)
        if value is None:
            lines.append(f"unset {name}")
        else:
            parts = (
                [_moved(part, root) for part in value.split(":")]
                if name == "PYTHONPATH"
                else [_quoted(value)]
            )
            lines += [f"{name}={':'.join(parts)}", f"export {name}"]
    return lines


def _command(code: Code) -> list[str]:
    """The command line with the new interpreter and the new place; nothing where it cannot be started."""
    if not code.command or start_problem(code):
        return []
    words, rest, secrets = [], list(code.command), 0
    if rest[0] == "modeltrail" and "--" in rest:
        cut = rest.index("--") + 1
        words, rest = [_quoted(word) for word in rest[:cut]], rest[cut:]
    for number, word in enumerate(rest):
        if number == 0 and _PYTHON.fullmatch(PurePosixPath(word).name):
            words.append('"$python"')
        elif number == 1 and _is_beside(word, rest[0]):
            words.append(f'"$bin"/{_quoted(PurePosixPath(word).name)}')
        elif REDACTED in word:
            secrets += 1
            words.append(_secret(word, secrets))
        else:
            words.append(_moved(word, code.root))
    return [" ".join(words)]


def _is_beside(word: str, interpreter: str) -> bool:
    """A command that was installed beside the interpreter: `/old/venv/bin/accelerate`."""
    place = PurePosixPath(interpreter)
    return place.is_absolute() and PurePosixPath(word).parent == place.parent


def _secret(word: str, number: int) -> str:
    before, _, after = word.partition(REDACTED)
    asked = f'"${{REPRODUCE_SECRET_{number}:?an argument was taken out of the record, give it here}}"'
    return f"{_quoted(before) if before else ''}{asked}{_quoted(after) if after else ''}"


def _moved(word: str, root: str | None) -> str:
    """A path in the old working tree becomes that in the new one, also after `=`."""
    name, equals, value = word.rpartition("=")
    within = recipes.inside(value, root)
    return f'{_quoted(name + equals) if equals else ""}"$src/"{_quoted(within)}' if within else _quoted(word)

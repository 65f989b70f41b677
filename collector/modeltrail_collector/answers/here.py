"""A recipe against what is here: the code in a folder, the data, the packages of an interpreter."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from modeltrail_collector.answers import recipe as recipes
from modeltrail_collector.answers.database import database
from modeltrail_collector.answers.recipe import FILE, Code, Data, Environment, Recipe
from modeltrail_collector.errors import ConfigError
from modeltrail_collector.log import Log
from modeltrail_collector.tables.pairing import IN_MEMORY
from modeltrail_schemas import digests
from modeltrail_schemas.sources import SOURCE_SUFFIXES
from modeltrail_schemas.variables import RESULT_VARIABLES

SECTIONS: Final = ("code", "data", "environment", "model")
_TIMEOUT_S: Final = 60.0
_NO_FILE: Final = "no such file"
_ASK_PYTHON: Final = """
import importlib.metadata as m, json, platform, re, sys
packages = {}
for d in m.distributions():
    if d.name and d.version:
        packages.setdefault(re.sub(r"[-_.]+", "-", d.name).lower(), d.version)
json.dump({
    "python": platform.python_version(), "implementation": platform.python_implementation(),
    "system": platform.system(), "architecture": platform.machine(), "packages": packages,
}, sys.stdout)
"""


class Finding(msgspec.Struct):
    """One thing compared: equal, or not, or (`why`) not to be compared."""

    section: str
    name: str
    recorded: str | None = None
    found: str | None = None
    why: str | None = None


def check(
    answer: Mapping[str, Any],
    folder: Path,
    *,
    python: str,
    sections: Sequence[str] | None = None,
    result: Log | None = None,
) -> dict[str, Any]:
    """Compare the recipe in an answer of `reproduce` with what is here.

    `folder` stands for the working tree; `python` is the interpreter whose packages count. `result` is the
    log of a new run: what only existed in memory is compared with it. The answer has `equal`, `compared` (how
    many things), `differences` (section, name, recorded, found) and `not_compared` (section, name, why).
    Section `model` compares the model that lies in the folder; where no section is named, if there is one.

    Raises ConfigError for what is no recipe, no folder or no Python.
    """
    recipe = recipes.read(answer)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: name the one with the code, or `now`")
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "code": lambda: _code(recipe, folder),
        "data": lambda: _data(recipe, folder, result),
        "environment": lambda: _environment(recipe.environment, python),
        "model": lambda: _model(recipe, folder, result, is_asked=sections is not None),
    }
    wanted = SECTIONS if sections is None else sections
    found = [finding for section in SECTIONS if section in wanted for finding in looks[section]()]
    compared = [finding for finding in found if finding.why is None]
    differences = [finding for finding in compared if finding.recorded != finding.found]
    return {
        "model": recipe.title,
        "equal": not differences,
        "compared": len(compared),
        "differences": [
            {"section": each.section, "name": each.name, "recorded": each.recorded, "found": each.found}
            for each in differences
        ],
        "not_compared": [
            {"section": each.section, "name": each.name, "why": each.why}
            for each in found
            if each.why is not None
        ],
    }


def _code(recipe: Recipe, folder: Path) -> Iterator[Finding]:
    code = recipe.code
    if code is None:
        yield Finding("code", "code", why="not recorded")
        return
    if code.commit is None:
        yield _source(recipe, folder)
        if code.source_sha256 is not None and code.elsewhere is None:
            why = "not recorded: without version control only the entry point is known"
            yield Finding("code", "imported modules", why=why)
    elif (commit := _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")) is None:
        yield Finding("code", "commit", why=f"{folder} is no git repository, or git is not here")
    else:
        yield Finding("code", "commit", code.commit, commit.decode().strip())
        if code.diff_sha256 or code.diff_state == "none":
            yield Finding("code", "uncommitted changes", code.diff_sha256 or "none", _changes(folder))
        else:
            yield Finding("code", "uncommitted changes", why="not recorded")
    yield from _untracked(code, folder)
    yield from _elsewhere(code, folder)


def _untracked(code: Code, folder: Path) -> Iterator[Finding]:
    for file in code.untracked or ():
        path = _below(folder, file.path)
        if file.sha256 is None or path is None:
            yield Finding("code", file.path, why="its digest was not recorded")
        else:
            yield Finding("code", file.path, file.sha256, digests.sha256(path) or _NO_FILE)
    if code.untracked_left_out:
        yield Finding("code", "more untracked files", why=code.untracked_left_out)
    elif code.untracked is not None and (new := _new_sources(folder, {file.path for file in code.untracked})):
        why = f"{len(new)} that git does not track were not there: {', '.join(new[:5])}"
        yield Finding("code", "more source files", why=why + (", …" if len(new) > 5 else ""))
    elif code.untracked is None and code.commit is not None:
        yield Finding("code", "untracked files", why="not recorded")


def _new_sources(folder: Path, known: Collection[str]) -> list[str]:
    """Source files here that git neither tracks nor ignores, but for these, packages, and what runs write.

    A module that is imported instead of the one that was is among them.
    """
    found = _git(folder, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/")
    names = os.fsdecode(found or b"").split("\0")
    no_code = tuple(name.removesuffix("pyvenv.cfg") for name in names if name.endswith("/pyvenv.cfg"))
    return sorted(
        name
        for name in names
        if Path(name).suffix.lower() in SOURCE_SUFFIXES - {".json"}
        and name not in known
        and not name.startswith(no_code)
    )


def _elsewhere(code: Code, folder: Path) -> Iterator[Finding]:
    """What lay outside of the working tree is looked for there; without a tree the folder stands for it."""
    if code.elsewhere is None and code.commit is not None:
        yield Finding("code", "modules from outside of the repository", why="not recorded")
    for file in code.elsewhere or ():
        within = None if code.commit else recipes.inside(file.path, code.cwd)
        path = folder / within if within else Path(file.path)
        if file.sha256 is not None:
            yield Finding("code", file.name, file.sha256, digests.sha256(path) or f"{_NO_FILE}: {path}")
    if code.elsewhere_unread:
        yield Finding("code", "more from outside of the repository", why=code.elsewhere_unread)


def _source(recipe: Recipe, folder: Path) -> Finding:
    """Without a commit the entry point's own digest says which code it was."""
    code = recipe.code
    if code is None or code.source_sha256 is None or not code.entry_point:
        return Finding("code", "code", why="neither a commit nor a digest was recorded")
    name = recipes.inside(code.entry_point, code.cwd) or code.entry_point
    return Finding("code", code.entry_point, code.source_sha256, digests.sha256(folder / name) or _NO_FILE)


def _changes(folder: Path) -> str:
    diff = _git(folder, *digests.GIT_DIFF, "HEAD", "--")
    if diff is None:
        return "git does not answer"
    return hashlib.sha256(diff).hexdigest() if diff else "none"


def _git(folder: Path, *question: str) -> bytes | None:
    """Git's answer; None when it has none. What the repository configures is not run."""
    command = ["git", "--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder)]
    try:
        answer = subprocess.run(
            [*command, *question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            env=os.environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return answer.stdout if answer.returncode == 0 else None


def _data(recipe: Recipe, folder: Path, result: Log | None) -> Iterator[Finding]:
    if not recipe.data:
        yield Finding("data", "data", why="not recorded")
    for data in (*(recipe.data or ()), *recipe.judged_on):
        yield _dataset(recipe, data, folder, result)


def _dataset(recipe: Recipe, data: Data, folder: Path, result: Log | None) -> Finding:
    known = data.fingerprint
    if data.namespace == IN_MEMORY and known is not None:
        if result is None:
            return Finding("data", data.name, why="it exists only inside of the run")
        return Finding("data", data.name, known.digest, _remade(result, data.name, known.digest))
    if data.namespace != FILE:
        return Finding("data", data.name, why=f"it does not lie on this machine but in {data.namespace}")
    if known is None:
        return Finding("data", data.name, why="its fingerprint was not recorded")
    return _file("data", data.name, _here(recipe, data.name, folder), known.digest, known.algorithm)


def _file(section: str, name: str, path: Path, digest: str, algorithm: str | None) -> Finding:
    """A file or folder against its recorded digest, made in the same way."""
    if not path.exists():
        return Finding(section, name, digest, f"{_NO_FILE}: {path}")
    seen = digests.digest(path)
    if seen is None:
        return Finding(section, name, digest, f"cannot be read: {path}")
    made = seen.algorithm if seen.scope == "full" else f"{seen.algorithm}-{seen.scope}"
    if algorithm is not None and algorithm not in {made, seen.algorithm}:
        return Finding(section, name, why=f"its digest was made in another way: {algorithm}, here {made}")
    return Finding(section, name, digest, seen.digest)


def _here(recipe: Recipe, name: str, folder: Path) -> Path:
    """Where a recorded path is now: in the folder, if it lay in the working tree."""
    within = recipes.inside(name, recipe.root)
    return Path(name) if within is None else folder / within


def _below(folder: Path, name: str) -> Path | None:
    path = Path(name)
    return None if path.is_absolute() or ".." in path.parts else folder / path


def _remade(result: Log, name: str, digest: str) -> str:
    """The fingerprint of the data or model of this name in the log of a new run."""
    with database(result, "run_datasets") as db:
        rows = db.rows(
            """SELECT DISTINCT fingerprint FROM run_datasets
            WHERE fingerprint IS NOT NULL AND (name = $name OR fingerprint = $digest)
            ORDER BY fingerprint = $digest DESC LIMIT 1""",
            name=name,
            digest=digest,
        )
    return rows[0]["fingerprint"] if rows else "not made by the new run"


def _environment(environment: Environment | None, python: str) -> Iterator[Finding]:
    if environment is None:
        yield Finding("environment", "environment", why="not recorded")
        return
    here = _ask(python)
    for name in ("python", "implementation", "system", "architecture"):
        recorded = getattr(environment, name)
        why = None if recorded else "not recorded"
        yield Finding("environment", name, recorded, here[name], why)
    installed = here["packages"]
    if environment.packages is None:
        yield Finding("environment", "packages", why="not recorded")
    for package in environment.packages or ():
        yield Finding(
            "environment", package.name, package.version, installed.get(package.name, "not installed")
        )
    if environment.packages is not None:
        known = {package.name for package in environment.packages}
        yield Finding("environment", "files of the packages", why="they go by their versions alone")
        if more := sorted(installed.keys() - known):
            shown = ", ".join(more[:5]) + (", …" if len(more) > 5 else "")
            yield Finding("environment", "more packages", why=f"{len(more)} more are installed here: {shown}")
    yield from _variables(environment)
    if environment.hardware:
        yield Finding("environment", "hardware", why="the same result is not to be expected of every machine")


def _variables(environment: Environment) -> Iterator[Finding]:
    if environment.variables is None:
        yield Finding("environment", "variables", why="not recorded")
        return
    for name in RESULT_VARIABLES:
        recorded, found = environment.variables.get(name, "not set"), os.environ.get(name) or "not set"
        if recorded != found or recorded != "not set":
            yield Finding("environment", name, recorded, found)


def _ask(python: str) -> dict[str, Any]:
    """What an interpreter says about itself and its packages.

    Raises:
        ConfigError: it is none, or does not answer.
    """
    path = Path(shutil.which(python) or python).absolute()
    try:
        answer = subprocess.run(
            [path, "-c", _ASK_PYTHON],
            cwd=path.anchor,  # Python looks for modules in the current folder first
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        found: dict[str, Any] = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ConfigError(f"{python} does not answer as a Python does: {error}") from None
    return found


def _model(recipe: Recipe, folder: Path, result: Log | None, *, is_asked: bool) -> Iterator[Finding]:
    """A model that is not there is a difference where it is asked for: else it is still to be made."""
    artifact = recipe.artifact
    if artifact is None or artifact.digest is None:
        yield Finding("model", "digest", why="not recorded")
        return
    uri = urlsplit(artifact.uri or "")
    if uri.scheme == FILE:
        path = _here(recipe, unquote(uri.path), folder)
        if not is_asked and not path.exists():
            yield Finding("model", recipe.title, why=f"{_NO_FILE}: {path}")
            return
        yield _file("model", recipe.title, path, artifact.digest, artifact.algorithm)
    elif result is not None:
        found = _remade(result, str(recipe.model.get("name")), artifact.digest)
        yield Finding("model", recipe.title, artifact.digest, found)
    else:
        yield Finding(
            "model", recipe.title, why=f"it is no file on this machine: {artifact.uri or 'in memory'}"
        )

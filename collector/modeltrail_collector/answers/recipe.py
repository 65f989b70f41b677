"""What it takes to make a model version again, as it was recorded.

A field that is None was not recorded. Each part says how it was learned (`capture`: observed, declared,
inferred; None where its producer does not say) and names the log record in which it was said (`source`).
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final, Literal

import msgspec

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.tables.differences import as_list
from modeltrail_collector.tables.pairing import IN_MEMORY

FILE: Final = "file"
COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_BINARY: Final = re.compile(r"^Binary files .* differ$", re.MULTILINE)
DiffState = Literal["none", "whole", "redacted", "cut", "binary", "not recorded"]


class Fact(msgspec.Struct, kw_only=True):
    """How a part was learned, and where it was said: topic, topic_id, partition, offset."""

    capture: str | None = None
    source: dict[str, Any] | None = None


class Fingerprint(msgspec.Struct, kw_only=True):
    """Which content data had; `scope` says how much of it the digest covers."""

    digest: str
    algorithm: str | None = None
    scope: str | None = None
    canonicalisation: str | None = None


class Data(Fact, kw_only=True):
    """A dataset that the run read; `how` says how to get this version of it."""

    namespace: str
    name: str
    how: str
    use: str | None = None
    version: str | None = None
    rows: int | None = None
    fingerprint: Fingerprint | None = None
    uri: str | None = None
    split: dict[str, Any] | None = None
    made_by: dict[str, Any] | None = None


class Untracked(msgspec.Struct, kw_only=True):
    """A file that lay in the working tree and that git does not know."""

    path: str
    sha256: str | None = None


class Elsewhere(msgspec.Struct, kw_only=True):
    """A file of the program that lay outside of the working tree: a module by its name."""

    name: str
    path: str
    sha256: str | None = None


class Location(Fact, kw_only=True):
    """Where the code is kept; the URL is without secrets, `path` is that of the entry point."""

    repository: str | None = None
    url: str | None = None
    path: str | None = None
    branch: str | None = None
    tag: str | None = None


class Code(Fact, kw_only=True):
    """Which code ran, and how it was started.

    `diff_state` says whether `diff` can be applied: only a `whole` one can. `untracked_left_out` says what is
    missing in a list that was cut, `elsewhere_unread` what of `elsewhere` cannot be compared. `directory` is
    the working directory relative to `root`, the top of the working tree; None where it lay elsewhere.
    """

    vcs: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    diff: str | None = None
    diff_sha256: str | None = None
    diff_state: DiffState = "not recorded"
    untracked: list[Untracked] | None = None
    untracked_left_out: str | None = None
    elsewhere: list[Elsewhere] | None = None
    elsewhere_unread: str | None = None
    entry_point: str | None = None
    command: list[str] | None = None
    command_capture: str | None = None
    cwd: str | None = None
    root: str | None = None
    directory: str | None = None
    notebook: str | None = None
    source_sha256: str | None = None
    location: Location | None = None


class Seed(Fact, kw_only=True):
    """The seed of one source of randomness; `recorded` with the value None: it was not seeded."""

    name: str
    value: int | str | None = None
    recorded: bool = False


class Package(msgspec.Struct, kw_only=True):
    """An installed distribution; `install` is its line of a requirements file, None where it has none."""

    name: str
    version: str
    install: str | None = None


class Environment(Fact, kw_only=True):
    """What the run ran in."""

    python: str | None = None
    implementation: str | None = None
    system: str | None = None
    architecture: str | None = None
    packages: list[Package] | None = None
    lockfile: dict[str, Any] | None = None
    container: dict[str, Any] | None = None
    hardware: dict[str, Any] | None = None
    variables: dict[str, str] | None = None


class Artifact(Fact, kw_only=True):
    """What the run made: the model's bytes."""

    digest: str | None = None
    algorithm: str | None = None
    uri: str | None = None
    size_bytes: int | None = None


class Problem(msgspec.Struct):
    """What stands in the way, in a sentence; `stops`: what came of it would be something else, or nothing."""

    text: str
    stops: bool = False


class Recipe(msgspec.Struct, kw_only=True):
    """All of it.

    `training` says framework, algorithm and task; `judged_on` is what only the evaluations inside of the run
    read, which the same script needs; `outputs` what else the run wrote; `problems` what stands
    in the way of doing it again; `not_recorded` the names of what nobody said.
    """

    model: dict[str, Any]
    run: dict[str, Any] | None
    data: list[Data] | None
    judged_on: list[Data] = []
    code: Code | None
    params: list[dict[str, Any]] | None
    seeds: list[Seed]
    environment: Environment | None
    training: dict[str, Any] | None
    artifact: Artifact | None
    outputs: list[dict[str, Any]]
    problems: list[Problem] = []
    not_recorded: list[str] = []

    @property
    def title(self) -> str:
        """`churn@3`."""
        return f"{self.model.get('registered_name') or self.model.get('name')}@{self.model.get('version')}"

    @property
    def root(self) -> str | None:
        """The top folder of the working tree in which it was made."""
        return self.code.root if self.code else None


def repository(remote: str | None, page: str | None, root: str | None) -> str | None:
    """Where the code is kept: the remote, a page that shows it, or the folder where there is no remote."""
    if remote is None and page is not None and not page.startswith("file:"):
        return page
    return remote or (f"{root} (it has no remote)" if root else None)


def unlisted(listed: object, truncated: object, count: object) -> str | None:
    """What a list of untracked files leaves out, by fields of `modelTrail_codeState`; None: nothing."""
    if truncated is not True:
        return None
    known = len(listed) if isinstance(listed, list) else 0
    if not isinstance(count, int) or count <= known:
        return "not all untracked files were looked at"
    return f"{count - known:,} of {count:,} untracked files were not looked at"


def diff_state(told: Mapping[str, Any], path: str | None) -> DiffState:
    """What is known of uncommitted changes, by fields of `modelTrail_codeState` and the entry point's path.

    Without a diff the tree was clean, but for an entry point that is new, or nobody said what changed.
    """
    diff, digest = told.get("diff"), told.get("diffSha256")
    if not isinstance(diff, str):
        loose = [file.get("path") for file in as_list(told.get("untracked")) if isinstance(file, dict)]
        only_new = (
            path is not None and path in loose and digest is None and told.get("diffTruncated") is not True
        )
        return "none" if told.get("dirty") is False or only_new else "not recorded"
    if told.get("diffTruncated") is True:
        return "cut"
    if digest != hashlib.sha256(diff.encode("utf-8", "surrogatepass")).hexdigest():
        return "redacted"
    return "binary" if _BINARY.search(diff) else "whole"


def elsewhere(code: Mapping[str, Any]) -> list[Elsewhere] | None:
    """The files of `modelTrail_codeState` from outside of the repository; None where nobody looked."""
    told = code.get("elsewhere")
    if not isinstance(told, list):
        return None
    return [
        Elsewhere(name=file["name"], path=file["path"], sha256=digest if isinstance(digest, str) else None)
        for file in told
        if isinstance(file, dict) and isinstance(file.get("name"), str) and isinstance(file.get("path"), str)
        for digest in [file.get("sha256")]
    ]


def unread(listed: list[Elsewhere] | None, count: object) -> str | None:
    """What of such files cannot be compared; None: nothing."""
    known = [file for file in listed or () if file.sha256 is not None]
    whole = max(count if isinstance(count, int) else 0, len(listed or ()))
    if len(known) == whole:
        return None
    return f"the content of {whole - len(known):,} of {whole:,} files from outside of the repository"


def read(answer: Mapping[str, Any]) -> Recipe:
    """The recipe in the answer of `answers.reproduce`.

    Raises:
        ConfigError: it is none.
    """
    try:
        return msgspec.convert(answer, Recipe)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"this is no recipe ({error}): write one with `modeltrail reproduce MODEL --json`"
        ) from None


def inside(path: str | None, root: str | None) -> str | None:
    """A path relative to the folder it lies in; None when it lies elsewhere."""
    if not path or not root or ".." in PurePosixPath(path).parts:
        return None
    try:
        return PurePosixPath(path).relative_to(PurePosixPath(root)).as_posix()
    except ValueError:
        return None


def not_recorded(recipe: Recipe) -> list[str]:
    """The dotted names of what a recipe needs and nobody said."""
    return list(_missing(recipe))


_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "code": ("commit", "elsewhere", "entry_point", "command", "cwd", "location"),
    "environment": (
        "python", "packages", "system", "architecture", "hardware", "lockfile", "container", "variables",
    ),
    "artifact": ("digest", "uri"),
}  # fmt: skip


def _missing(recipe: Recipe) -> Iterator[str]:
    for section in ("run", "data", "params", "training"):
        if not getattr(recipe, section):
            yield section
    for section, fields in _NEEDED.items():
        said = getattr(recipe, section)
        if said is None:
            yield section
        else:
            yield from (f"{section}.{name}" for name in fields if getattr(said, name) is None)
    if recipe.code and recipe.code.diff_state == "not recorded":
        yield "code.diff"
    yield from (f"seeds.{seed.name}" for seed in recipe.seeds if not seed.recorded)
    yield from (f"data.{data.name}.fingerprint" for data in recipe.data or () if data.fingerprint is None)


def problems(recipe: Recipe) -> list[Problem]:
    """What stands in the way of making the model again."""
    stopping = [*_code_problems(recipe.code), *_place_problems(recipe)]
    others = (
        *_changes_problems(recipe.code),
        *_loose_problems(recipe),
        *_data_problems(recipe),
        *_result_problems(recipe),
    )
    return [Problem(text, stops=True) for text in stopping] + [Problem(text) for text in others]


def _code_problems(code: Code | None) -> list[str]:
    if code is None:
        return ["Which code ran was not recorded."]
    found = [_commit_problem(code), _DIFF_PROBLEMS.get(code.diff_state), start_problem(code)]
    if code.dirty and code.diff_state == "not recorded":
        found.append("There were uncommitted changes, and they were not recorded.")
    return [problem for problem in found if problem]


_DIFF_PROBLEMS: Final[dict[str, str]] = {
    "redacted": "The uncommitted changes hold secrets that were taken out: the diff cannot be applied.",
    "cut": "The uncommitted changes were too long and were cut: the diff cannot be applied.",
    "binary": "Binary files with uncommitted changes are not in the diff: it cannot be applied.",
}


def _commit_problem(code: Code) -> str | None:
    if code.commit is None:
        return "No commit was recorded: the code cannot be fetched."
    if not COMMIT.fullmatch(code.commit):
        return "What was recorded as the commit is none."
    known = code.root or (code.location and code.location.repository)
    return None if known else "Where the repository lies was not recorded."


def start_problem(code: Code) -> str | None:
    """Why what ran cannot be started again."""
    if code.notebook:
        return "It ran in a notebook: its cells are to be run by hand."
    if code.entry_point == "<interactive>":
        return "It ran in an interactive session: what was typed was not recorded."
    if code.command is None:
        return "How it was started was not recorded."
    return "The recorded command line holds a NUL, which none can." if "\0" in "".join(code.command) else None


def _changes_problems(code: Code | None) -> list[str]:
    if code is None or code.commit is None or code.dirty is not None or code.diff_state != "not recorded":
        return []
    return [
        "Whether there were uncommitted changes was not recorded: other code than the commit's may have run."
    ]


def _loose_problems(recipe: Recipe) -> list[str]:
    """What the code needs that is no part of its repository."""
    code, found = recipe.code, []
    if code is None:
        return []
    if code.untracked_left_out:
        left_out = code.untracked_left_out[:1].upper() + code.untracked_left_out[1:]
        found.append(f"{left_out}: what the code reads of them is neither told nor brought.")
    if code.commit and code.elsewhere:
        count = len(code.elsewhere)
        files = f"{count:,} files" if count > 1 else f"{code.elsewhere[0].name}, a file"
        found.append(f"It needs {files} from outside of the repository: compared, and not brought.")
    if code.elsewhere_unread:
        found.append(f"Not recorded: {code.elsewhere_unread}.")
    found.append("Files that the code opens by a name that it puts together are not recorded.")
    return found


def _data_problems(recipe: Recipe) -> list[str]:
    if recipe.data and all(data.namespace == IN_MEMORY for data in recipe.data):
        return ["Where its data came from was not recorded: the run was seen to read none."]
    return [
        f"Which content {data.name} had was not recorded: it cannot be compared."
        for data in recipe.data or ()
        if data.fingerprint is None
    ] or ([] if recipe.data else ["Which data it learned from was not recorded."])


def _result_problems(recipe: Recipe) -> list[str]:
    artifact = recipe.artifact
    found = []
    if recipe.environment is None or recipe.environment.packages is None:
        found.append("Which packages were installed was not recorded.")
    if artifact is None or artifact.digest is None:
        found.append("The model's digest was not recorded: the new model cannot be compared.")
    if any(row.get("origin") == "search" for row in recipe.params or ()):
        found.append("A search that is saved holds how long its fits took: its bytes differ each time.")
    return found


def _place_problems(recipe: Recipe) -> list[str]:
    root = recipe.root
    elsewhere = [
        output["name"]
        for output in recipe.outputs
        if output["namespace"] == FILE and root and inside(output["name"], root) is None
    ]
    if not elsewhere:
        return []
    return [f"It writes outside of the repository, which would be overwritten: {', '.join(elsewhere)}."]

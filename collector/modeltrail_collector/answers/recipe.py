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

FILE: Final = "file"
COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
_URL: Final = re.compile(r"(?:(?:git|hg|bzr|svn)\+)?https?://[A-Za-z0-9._~:/?#@!$&()*+,;=%-]+")
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


def install(name: str, version: str, source: str | None) -> str | None:
    """A line of a requirements file, of which no part can be an option; None for what no index has."""
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        return None
    if source in {None, "pypi"}:
        return f"{name}=={version}"
    return f"{name} @ {source}" if source and _URL.fullmatch(source) else None


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

"""What a program consists of outside of its repository: modules by PYTHONPATH or of an editable install."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from modeltrail.observe import git
from modeltrail.observe.untracked import BYTES
from modeltrail_schemas import digests

FILES: Final = 200
REPOSITORIES: Final = 5


class Elsewhere(msgspec.Struct, frozen=True):
    """Files as `{"name", "path", "sha256"}`, how many there are, and the repositories that they lie in.

    A file above 16 MiB has no digest. Of at most five repositories `{"root", "commit", "dirty"}` is told.
    """

    files: list[dict[str, Any]]
    count: int
    repositories: list[dict[str, Any]]


def look(root: Path | None, used: Mapping[str, str], told: Iterable[Mapping[str, Any]] = ()) -> Elsewhere:
    """Of `used`, the name of each file by its real path, what does not lie below `root`; all without one.

    What was `told` before is kept as it was: what is loaded stays so, whatever becomes of its file.
    """
    top = f"{os.path.realpath(root)}{os.sep}" if root else None
    before = {file["path"]: dict(file) for file in told}
    new: dict[str, str] = {}
    for file, name in sorted(used.items()):
        if top is None or not file.startswith(top):
            path = _archive(file)
            new.setdefault(path, name if path == file else Path(path).name)
    paths = [*dict.fromkeys([*before, *new])]
    files = [before.get(path) or _file(new[path], path) for path in paths[:FILES]]
    return Elsewhere(files, len(paths), list(_repositories(paths[:FILES])))


def _archive(file: str) -> str:
    """The file itself, or the archive that it was imported from, as that of Spark."""
    path = Path(file)
    return file if path.exists() else next((str(one) for one in path.parents if one.is_file()), file)


def _file(name: str, path: str) -> dict[str, Any]:
    try:
        is_small = Path(path).stat().st_size <= BYTES
    except OSError:  # gone meanwhile
        is_small = False
    digest = digests.sha256(Path(path)) if is_small else None
    return {"name": name, "path": path} | ({"sha256": digest} if digest else {})


def _repositories(files: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Found without git, which is asked of those alone that there are."""
    folders = dict.fromkeys(Path(file).parent for file in files)
    above = dict.fromkeys(each for folder in folders for each in (folder, *folder.parents))
    roots = [folder for folder in above if (folder / ".git").exists()]
    for root in roots[:REPOSITORIES]:
        try:
            found = git.repository(root)
        except git.UnansweredError:
            yield {"root": str(root)}
            continue
        if found is None or not root.samefile(found.root):  # not git's, or GIT_DIR says another
            continue
        asked = git.ask(root, "diff", "--no-ext-diff", "--name-only", "-z", "HEAD", "--")
        differs = git.parts(git.said(asked))
        told: dict[str, Any] = {"root": str(root), "commit": found.commit}
        told["dirty"] = None if differs is None else bool(differs)
        yield {key: value for key, value in told.items() if value is not None}

"""Which code runs: commit, changes against it, entry point, command line."""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from modeltrail import airflow, dagster, standard
from modeltrail.facets import ModelTrailCodeStateRunFacet
from modeltrail.observe import elsewhere, git, named, redact, untracked
from modeltrail_schemas import digests

MAX_ARGUMENTS: Final = 200
MAX_MODULES: Final = 500
"""Of a program of more files none is named: a part would pass for all of it."""
_SITE: Final = f"{os.sep}site-packages{os.sep}"
_DIST: Final = f"{os.sep}dist-packages{os.sep}"
_STANDARD: Final = f"{Path(os.__file__).parent}{os.sep}"
_EMITTER: Final = f"{Path(__file__).parents[1]}{os.sep}"
_OURS: Final = frozenset({"modeltrail", "modeltrail_schemas", "modeltrail_collector"})
"""Told as a package, also where it is installed to be edited."""
_MAIN: Final = frozenset({"__main__", "__mp_main__"})
"""What the script is called, the second time by multiprocessing."""
_STDIN: Final = "<stdin>"
"""What Python calls the file of a program that it reads from its standard input."""
_launched: str | None = None
_SCP: Final = r"^(?:[\w.-]+@)?([\w.-]+):(?!//)(.+)$"


class EntryPoint(msgspec.Struct, frozen=True):
    """What was started: its name as a user would write it, the file behind it, the notebook around it.

    The cell is the place in the order in which cells were run, from 0.
    """

    name: str
    path: Path | None = None
    notebook: Path | None = None
    cell: int | None = None


def state(entry_point: str | os.PathLike[str] | None = None) -> ModelTrailCodeStateRunFacet:
    """The facet `modelTrail_codeState` of this process, or of the given script.

    `dirty` is what `git describe --dirty` calls so (a tracked file differs from the commit), or an entry
    point that git does not track. It is None, and `diff_truncated` where there is a commit, if git did not
    say so. Without a commit to know `source_sha256` is the digest of the entry point's file.
    """
    entry = _entry(entry_point)
    shared: dict[str, Any] = {"entry_point": entry.name, "cwd": _cwd(), "notebook": _notebook(entry)}
    if not _is_kernel():
        shared |= {"argv": redact.argv(sys.argv[:MAX_ARGUMENTS]), "command": command(sys.orig_argv)}
    try:
        repository = git.repository(_folder(entry))
    except git.UnansweredError:
        return ModelTrailCodeStateRunFacet(vcs="git", source_sha256=_source(entry), **shared)
    root = repository.root if repository else None
    used = imported() if entry_point is None else {}
    texts = _named(entry.path or entry.notebook, root, used)
    named.keep_in_mind(texts)
    if entry_point is None:
        others = elsewhere.look(root, used | texts)
        shared |= {
            "elsewhere": others.files,
            "elsewhere_count": others.count,
            "repositories": others.repositories,
        }
    if repository is None:
        return ModelTrailCodeStateRunFacet(dirty=False, source_sha256=_source(entry), **shared)
    modules = _below(repository.root, used) if entry_point is None else None
    started = _inside(entry, repository)
    own = [*([started] if started else []), *(modules or ()), *(_below(repository.root, texts) or ())]
    changes = git.ask_diff(repository)
    loose = untracked.look(repository.root, list(dict.fromkeys(own)))
    is_loose = None if started and loose.own is None else started in (loose.own or ())
    return ModelTrailCodeStateRunFacet(
        **_changes(changes, is_loose),
        vcs="git",
        commit=repository.commit,
        root=str(repository.root),
        untracked=loose.files,
        untracked_truncated=loose.is_cut,
        untracked_count=loose.count,
        modules=modules,
        **shared,
    )


def _source(entry: EntryPoint) -> str | None:
    file = entry.path or entry.notebook
    return digests.sha256(file) if file else None


def _changes(changes: Callable[[], git.Diff | None], is_loose: bool | None) -> dict[str, Any]:
    """Fields of the facet; `is_loose`: whether git does not track the entry point, None where not known.

    A diff that is not known is one that is cut, at nothing: without a word it would be none.
    """
    try:
        diff = changes()
    except git.UnansweredError:
        return {"dirty": is_loose or None, "diff_truncated": True}
    if diff is None:
        return {"dirty": is_loose}
    return {
        "dirty": True,
        "diff_sha256": diff.sha256,
        "diff": diff.text,
        "diff_truncated": diff.truncated,
    }


def with_imported(state: Mapping[str, Any], used: Mapping[str, str]) -> dict[str, Any]:
    """A facet `modelTrail_codeState` with what the program has come to consist of since: `imported` there.

    A file that its text names and that was written since is its own, and is left out.
    """
    root = Path(state["root"]) if "root" in state else None
    texts = _named(Path(state.get("cwd", os.sep), state["entryPoint"]), root, used)
    old = {file: name for file, name in texts.items() if named.is_as_it_was(file)}
    new = texts.keys() - old.keys() - used.keys()
    others = elsewhere.look(root, {**used, **old}, _without(new, state.get("elsewhere", ()), Path(os.sep)))
    told = {"elsewhere": others.files, "elsewhereCount": others.count, "repositories": others.repositories}
    if root is None:
        return {**state, **told}
    modules = _below(root, used)
    listed, count = state.get("untracked", ()), state.get("untrackedCount")
    kept = _without(new, listed, root)
    known = untracked.Untracked(kept, None if count is None else count - len(listed) + len(kept))
    more = {*(modules or ()), *(_below(root, old) or ())}.difference(state.get("modules", ()))
    found = untracked.add(known, root, sorted(more))
    told |= {"untracked": found.files, "untrackedTruncated": found.is_cut}
    told |= {"untrackedCount": found.count, "modules": modules}
    return {key: value for key, value in {**state, **told}.items() if value is not None}


def _without(new: Collection[str], told: Iterable[Mapping[str, Any]], folder: Path) -> list[dict[str, Any]]:
    return [dict(file) for file in told if not new or os.path.realpath(folder / file["path"]) not in new]


def _named(text: Path | None, root: Path | None, used: Iterable[str]) -> dict[str, str]:
    """What the program's own files and its arguments name, but itself: real paths, and how each is named."""
    cwd = Path(_cwd() or os.sep)
    top = f"{os.path.realpath(root or cwd)}{os.sep}"
    own = [Path(file) for file in used if file.startswith(top)][:MAX_MODULES]
    folders = [cwd, *([root] if root else [])]
    arguments = [] if _is_kernel() else sys.argv[1:MAX_ARGUMENTS]
    found = named.files([*([text] if text else []), *own], arguments, folders)
    return {file: name for file, name in found.items() if text is None or file != os.path.realpath(text)}


def look_at_imported(run_facets: dict[str, Mapping[str, Any]]) -> None:
    """Bring the facet of this process's code up to date with what was imported since; if there is one."""
    key = ModelTrailCodeStateRunFacet.KEY
    if (state := run_facets.get(key)) is not None:
        run_facets[key] = with_imported(state, imported())


def imported() -> dict[str, str]:
    """The files of what this process has imported, with its names, but for Python and installed packages.

    The script is not among them: at its end, when this is asked, it has no name any more. Packages are
    installed where metadata of one lies, as in the folder of `pip install --target`.
    """
    files: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = _file_of(module)
        # thousands of files: a loop over the places takes eight times as long
        if not file or _SITE in file or _STANDARD in file or _DIST in file or _EMITTER in file:
            continue
        if name not in _MAIN and name.partition(".")[0] not in _OURS:
            files.setdefault(_real(file), name)
    installed = tuple(f"{_real(place)}{os.sep}" for place in sys.path if _has_packages(place))
    return {file: name for file, name in sorted(files.items()) if not file.startswith(installed)}


@lru_cache(maxsize=1024)
def _has_packages(place: str) -> bool:
    try:
        return any(name.endswith(".dist-info") for name in os.listdir(place or os.curdir))  # noqa: PTH208  half the time
    except OSError:  # an archive, or nothing
        return False


_real = lru_cache(maxsize=1024)(os.path.realpath)  # each run that ends asks for the same ones


def _file_of(module: object) -> str | None:
    """Without a look into what loads itself when it is looked into."""
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:  # whatever somebody put there
        return None
    return file if isinstance(file, str) else None


def _below(root: Path, files: Iterable[str]) -> list[str] | None:
    """Paths relative to the top of the work tree; None where they are too many."""
    top = f"{os.path.realpath(root)}{os.sep}"
    found = [file.removeprefix(top).replace(os.sep, "/") for file in files if file.startswith(top)]
    return found if len(found) <= MAX_MODULES else None


def command(whole: Sequence[str]) -> list[str] | None:
    """A command line to start again, redacted; None where it is too long to keep all of it."""
    return redact.argv(whole) if len(whole) <= MAX_ARGUMENTS else None


def location(entry_point: str | os.PathLike[str] | None = None) -> dict[str, Any] | None:
    """The standard facet `sourceCodeLocation` of this process's code; None where git tells of none."""
    entry = _entry(entry_point)
    repository = None
    with contextlib.suppress(git.UnansweredError):
        repository = git.repository(_folder(entry))
    if repository is None:
        return None
    path = _inside(entry, repository)
    web = _web(repository.url)
    if web and repository.commit:
        url = f"{web}/blob/{repository.commit}/{path}" if path else f"{web}/tree/{repository.commit}"
    else:
        url = web or (entry.path or repository.root).as_uri()
    return standard.source_code_location(
        url,
        repo_url=repository.url,
        path=path,
        version=repository.commit,
        tag=repository.tag,
        branch=repository.branch,
    )


def entry_point() -> EntryPoint:
    """What runs: the file of Airflow's DAG or of Dagster's asset, a script, module, notebook or session."""
    if (file := airflow.dag_file() or dagster.code_file()) is not None:
        return EntryPoint(str(file), file)
    main = sys.modules.get("__main__")
    notebook = _jupyter(main)
    if notebook is not None:
        return notebook
    file = getattr(main, "__file__", None)
    if file and Path(file).name == _STDIN:
        return EntryPoint(_STDIN)
    spec = getattr(main, "__spec__", None)
    if spec is not None and file:
        return EntryPoint(f"-m {spec.name.removesuffix('.__main__')}", Path(file))
    started = sys.argv[0] if sys.argv else ""
    if file:
        path = _absolute(file)
        return EntryPoint(started if _absolute(started) == path else str(path), path)
    if started and Path(started).is_file():  # before the script's own module exists
        return EntryPoint(started, _absolute(started))
    return EntryPoint("-c" if started == "-c" else "<interactive>")


def cell() -> int | None:
    """The cell of a notebook that runs, else the last one that did; None outside of IPython.

    By the history, in which it is before it runs, behind an empty one. That is gone when the kernel ends; the
    next prompt is not, which IPython counts before or after a cell runs.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", None)
    following = len(history) if history else getattr(shell, "execution_count", 1)
    return following - 2 if following > 1 else None


def script_name() -> str:
    """What runs, in a word: `train` for `train.py`, a notebook by its name, a module by its own."""
    entry = entry_point()
    path = entry.notebook or entry.path
    name = entry.name.removeprefix("-m ")
    return path.stem if path is not None and name == entry.name else name.strip("<>")


def runs_in(notebook: str) -> None:
    """This process is the kernel of that notebook."""
    global _launched  # noqa: PLW0603  one notebook per kernel
    _launched = notebook


def _is_kernel() -> bool:
    """A kernel's command line is nobody's: it names a file of its connections."""
    return "ipykernel" in sys.modules


def _jupyter(main: object) -> EntryPoint | None:
    if not _is_kernel():
        return None
    path = _launched or getattr(main, "__vsc_ipynb_file__", None) or os.environ.get("JPY_SESSION_NAME")
    return EntryPoint(path or "<notebook>", None, _absolute(path) if path else None, cell())


def _entry(given: str | os.PathLike[str] | None) -> EntryPoint:
    if given is None:
        return entry_point()
    name, path = os.fspath(given), _absolute(given)
    return EntryPoint(name, None, path) if path.suffix == ".ipynb" else EntryPoint(name, path)


def _folder(entry: EntryPoint) -> Path:
    """Where to ask git: beside the script, unless that is an installed module or program, as dbt-ol is."""
    path = entry.path or entry.notebook
    if path is None or not path.exists():
        return Path(_cwd() or os.sep)
    is_installed = "site-packages" in path.parts or path.parent == Path(sys.executable).parent
    return Path(_cwd() or os.sep) if is_installed else path.parent


def _absolute(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).absolute()
    except OSError:  # relative to a folder that is gone
        return Path(path)


def _cwd() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:  # the folder is gone
        return None


def _notebook(entry: EntryPoint) -> dict[str, Any] | None:
    if entry.notebook is None:
        return None
    found = {"path": str(entry.notebook), "sha256": digests.sha256(entry.notebook), "cell": entry.cell}
    return {key: value for key, value in found.items() if value is not None}


def _inside(entry: EntryPoint, repository: git.Repository) -> str | None:
    path = entry.path or entry.notebook
    try:
        return path.resolve().relative_to(repository.root.resolve()).as_posix() if path else None
    except (ValueError, OSError):
        return None


def _web(url: str | None) -> str | None:
    """`git@host:org/repo.git` and `ssh://git@host/org/repo` as the https address that forges show."""
    if url is None:
        return None
    scp = re.match(_SCP, url)
    if scp and not url.startswith(("/", ".")):
        return f"https://{scp[1]}/{scp[2].removesuffix('.git').strip('/')}"
    remote = re.match(r"^(?:https?|ssh|git)://(?:[^@/]*@)?([^/:]+)(:\d+)?/(.+)$", url)
    if remote is None:
        return None
    port = remote[2] or "" if url.startswith("http") else ""
    return f"https://{remote[1]}{port}/{remote[3].removesuffix('.git').strip('/')}"

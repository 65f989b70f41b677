# ruff: noqa: INP001  a folder for sys.path, no package
"""Python imports this when it starts, because `modeltrail run` puts this folder on PYTHONPATH.

The first Python process of the program claims the run, of a notebook its kernel; of a shell or of make it
joins the launch with a run of its own. So does a further one that runs a script or a module, once it imports
a library that may tell something; others go on at once.
Afterwards this folder is gone from `sys.path`, and the sitecustomize that it hides is imported in its place.
Any Python may read this, also one without modeltrail: no more than the standard library before the claim, and
no exception after it.
"""

import os
import sys

_NO_SCRIPTS = {"modeltrail", "find_spark_home.py"}
"""What observes for itself, and what spark-submit asks before it starts the driver."""
_KERNELS = {"ipykernel", "ipykernel_launcher"}
_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  pathlib would cost each process 5 ms


def _claims(state: str) -> bool:
    """Whether this process is the script: the first one, or what that became by exec."""
    if os.path.exists(os.path.join(state, "notebook")) and not _KERNELS.intersection(  # noqa: PTH110, PTH118
        getattr(sys, "orig_argv", ())
    ):
        return False
    claim = os.path.join(state, "claim")  # noqa: PTH118
    try:
        file = os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        with open(claim, encoding="ascii") as known:  # noqa: PTH123
            return known.read() == str(os.getpid())
    except OSError:
        return False
    os.write(file, str(os.getpid()).encode())
    os.close(file)
    return True


class _Watch:
    """A finder of modules: this process joins when it imports one of `libraries`; its forks do not."""

    def __init__(self, state: str, libraries: "set[str]") -> None:
        self._state = state
        self._libraries = libraries
        self._pid = os.getpid()

    def find_spec(self, name: str, *_: object) -> object:
        if name not in self._libraries:
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        if os.getpid() == self._pid:
            try:
                from modeltrail.launch import child

                child.join(self._state)
            except Exception as error:  # whatever it is, the program goes on
                _complain(self._state, "missed", error)
        from importlib.util import find_spec

        return find_spec(name)  # joining may have added finders


def _watch(state: str) -> None:
    """Wait for what a script or module imports; `-c` is what workers are started by."""
    argv = getattr(sys, "orig_argv", [])
    if sys.argv[0] in {"", "-c"} or any(part.startswith("pyspark.") for part in argv):
        return
    try:
        with open(os.path.join(state, "libraries"), encoding="ascii") as file:  # noqa: PTH118, PTH123
            sys.meta_path.insert(0, _Watch(state, set(file.read().split())))  # type: ignore[arg-type]
    except OSError:  # without autolog
        return


def _complain(state: str, name: str, error: Exception) -> None:
    """Leave word for the wrapper."""
    try:
        with open(os.path.join(state, name), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
            file.write("%s: %s: %s" % (sys.executable, type(error).__name__, error))  # noqa: UP031  any Python
    except OSError:
        pass


def _observe() -> None:
    state = os.environ.get("MODELTRAIL_LAUNCH")
    command = getattr(sys, "orig_argv", ["", ""])[1:2]
    program = [os.path.basename(part) for part in command]  # noqa: PTH119
    if not state or _NO_SCRIPTS.intersection(program):
        return
    claims = _claims(state)
    if not claims and program != ["dbt-ol"]:
        _watch(state)
        return
    try:
        from modeltrail.launch import child

        if program == ["dbt-ol"]:
            child.lend_inbox()
        if claims and os.path.exists(os.path.join(state, "several")):  # noqa: PTH110, PTH118
            child.join(state, is_first=True)
        elif claims:
            child.adopt(state)
    except Exception as error:  # whatever it is, the program goes on
        if claims:
            _complain(state, "problem", error)


def _chain() -> None:
    """Import the host's own sitecustomize, whose exceptions are the host's."""
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _HERE]  # noqa: PTH100
    sys.path_importer_cache.pop(_HERE, None)
    ours = sys.modules.pop(__name__)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != __name__:
            raise
        sys.modules[__name__] = ours


try:
    _observe()
finally:
    _chain()

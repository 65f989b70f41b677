"""The wrapper's side: it starts the program, stays out of its way, and tells how it began and how it ended.

The program has the wrapper's standard streams, working directory, process group and signal handlers; its exit
code is the wrapper's, and 128 + n stands for death by signal n, as in a shell. What ends a run: exit code 0
COMPLETE, another one FAIL, a signal ABORT. What runs a notebook handles signals itself; the kernel says that
it was interrupted.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from modeltrail import context, event, integrations, settings, standard, transports
from modeltrail.context import Parent
from modeltrail.event import EventType
from modeltrail.facets import ModelTrailCodeStateRunFacet
from modeltrail.guard import guarded
from modeltrail.launch import command as commands
from modeltrail.launch import programs, spark
from modeltrail.launch.command import Command
from modeltrail.observe import code, environment, redact
from modeltrail.runs import outcome
from modeltrail.runs.facts import Facts
from modeltrail.runs.story import Teller

NOT_FOUND: Final = 127
_CODE: Final = ModelTrailCodeStateRunFacet.KEY
NOT_EXECUTABLE: Final = 126
_FORWARDED: Final = frozenset(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
Mask = set[int | signal.Signals] | None
_SITE: Final = Path(__file__).parent / "site"


def launch(
    command: Sequence[str],
    *,
    say: Callable[[str], None],
    name: str | None = None,
    namespace: str | None = None,
    autolog: bool = True,
) -> int:
    """Run a command under observation.

    Args:
        command: the program and its arguments.
        say: prints one line to the user.
        name: of the job; without it the script's or module's name.
        namespace: of the job; without it the configured one.
        autolog: whether integrations are switched on in the program.

    Returns:
        The exit code: the program's, 128 + n if signal n killed it, 127 if there is no such program, 126 if
        it cannot be executed.
    """
    read = commands.read(command)
    options = [*(["--name", name] if name else []), *(["--namespace", namespace] if namespace else [])]
    options += [] if autolog else ["--no-autolog"]
    wrapper = _Wrapper(list(command), options, read, name or read.name, namespace)
    state: str | None = None
    if not settings.current().disabled:
        with guarded("preparing the launch"):
            state = wrapper.prepare(autolog=autolog)
        with guarded("looking for Spark's listener"):
            wrapper.check_spark(say)
        if read.blind:
            say(f"python {read.blind} does not load sitecustomize: nothing is recorded from inside")
    try:
        return wrapper.run(state, say)
    finally:
        if state is not None:
            shutil.rmtree(state, ignore_errors=True)


class _Wrapper:
    """One launch."""

    def __init__(
        self, command: list[str], options: list[str], read: Command, name: str, namespace: str | None
    ) -> None:
        configured = settings.current()
        parent = context.parent()
        root = parent.top if parent else None
        identity = Parent(event.new_run_id(), namespace or configured.namespace, name, root)
        self.command = command
        self.options = options
        self.read = read
        self.log = configured.log
        self.spark_jars = ""
        if configured.spark_jars:
            entries = configured.spark_jars.split(os.pathsep)
            self.spark_jars = os.pathsep.join(str(configured.resolve(entry)) for entry in entries)
        self.teller = Teller(identity, parent)
        self.facts = Facts()

    def check_spark(self, say: Callable[[str], None]) -> None:
        """Do without Spark's own events where asking for them would break the program."""
        if self.spark_jars and (why := spark.obstacle(self.command, os.environ, self.spark_jars)):
            say(f"Spark's own events are not recorded: {why}")
            self.spark_jars = ""

    def prepare(self, *, autolog: bool) -> str:
        """The state directory, with what the program's first Python process has to know."""
        state = tempfile.mkdtemp(prefix="modeltrail-")
        identity = self.teller.identity
        launched = {
            "run_id": identity.run_id,
            "namespace": identity.namespace,
            "name": identity.name,
            "context": json.loads(self.teller.parent.to_context()) if self.teller.parent else {},
            "autolog": autolog,
            "pid": os.getpid(),
            "prefix": os.path.realpath(sys.prefix),
        }
        (Path(state) / "launch.json").write_text(json.dumps(launched), encoding="utf-8")
        if autolog:
            # joblib imports numpy before it has anything that could be observed.
            libraries = {"joblib", *(each.module.partition(".")[0] for each in integrations.TABLE)}
            (Path(state) / "libraries").write_text(" ".join(libraries), encoding="ascii")
        (Path(state) / programs.FOLDER).mkdir()
        if self.read.is_shell:
            (Path(state) / "several").touch()
        if self.read.notebook:
            (Path(state) / "notebook").write_text(str(Path(self.read.notebook).absolute()), encoding="utf-8")
        return state

    def run(self, state: str | None, say: Callable[[str], None]) -> int:
        """Start the program, wait for its end, and tell both."""
        mask = _block()
        try:
            child = _start(self.command, self._environment(state), mask)
        except OSError as error:
            _unblock(mask)
            missing = isinstance(error, FileNotFoundError)
            say(f"{self.command[0]}: {'command not found' if missing else error.strerror}")
            return NOT_FOUND if missing else NOT_EXECUTABLE
        starting = threading.Thread(target=self._tell_start, args=(event.now(),), daemon=True)
        forwarding = spark.Forwarding(state) if state is not None and self.spark_jars else None
        watch = programs.Watch(state) if state is not None else None
        if state is not None:
            starting.start()
        returned = _wait(child)
        if forwarding is not None:
            forwarding.end()
        if watch is not None:
            watch.end()
        if state is not None:
            starting.join()
            with guarded("telling how the program ended"):
                self._tell_end(Path(state), returned, say)
        return 128 - returned if returned < 0 else returned

    def _environment(self, state: str | None) -> dict[str, str]:
        variables = dict(os.environ)
        if state is None:
            return variables
        path = variables.get("PYTHONPATH")
        variables["PYTHONPATH"] = os.pathsep.join([str(_SITE), *([path] if path else [])])
        variables["MODELTRAIL_LAUNCH"] = state
        variables["MODELTRAIL_LOG"] = str(self.log)  # the program may change its directory
        variables[context.CONTEXT_ENV] = self.teller.identity.to_context()
        if self.spark_jars:
            variables |= spark.variables(variables, self.spark_jars, state, self.teller.identity)
        return variables

    def _tell_start(self, at: str) -> None:
        """In a thread: looking around takes half a second that the program need not wait for."""
        with guarded("looking at the code"):
            state = code.state(self.read.script or " ".join(self.command[:1]))
            argv = redact.argv(self.command[: code.MAX_ARGUMENTS])
            whole = code.command(["modeltrail", "run", *self.options, "--", *self.command])
            self.facts.run_facets[state.KEY] = msgspec.structs.replace(
                state, argv=argv, command=whole
            ).to_dict()
            if self.read.script and (location := code.location(self.read.script)):
                self.facts.job_facets["sourceCodeLocation"] = location
        with guarded("looking at the environment"):
            if self._is_our_python():
                seen = environment.look()
                self.facts.run_facets[seen.KEY] = seen.to_dict()
            variables = standard.environment_variables(environment.variables())
            self.facts.run_facets["environmentVariables"] = variables
        transports.emit({**self.teller.tell("START", self.facts), "eventTime": at})

    def _is_our_python(self) -> bool:
        """Whether the program is of the environment that the wrapper runs in."""
        found = shutil.which(self.command[0])
        return found is not None and Path(found).parent == Path(sys.executable).parent

    def _tell_end(self, state: Path, returned: int, say: Callable[[str], None]) -> None:
        story = _story(state / "story.json")
        kind, error = _ending(returned, story)
        if chunk := story.get("chunk"):
            transports.emit(self.teller.tell_chunk(self.facts, chunk))
        last = self.teller.tell(kind, self.facts, errorMessage=error)
        inside = story.get("event")
        if ran := last["run"]["facets"].get(_CODE):
            last["run"]["facets"][_CODE] = _as_it_ended(ran, story, is_python=self.read.is_python)
        transports.emit(_merged(last, inside, is_python=self.read.is_python) if inside else last)
        transports.close()
        if not (state / "claim").exists() and not self.read.blind:
            say(f"{self.command[0]} started no Python that we can see into: only start and end are recorded")
        elif (state / "problem").exists():
            problem = (state / "problem").read_text(encoding="utf-8")
            say(f"nothing is recorded from inside the program: {problem}")
        if returned == 0 and self.read.is_python and story and "imported" not in story:
            say(
                f"{self.read.name} ended without the end of Python (os._exit, or another program in its"
                " place): what it only read, and what it did last, may not be recorded"
            )
        if (state / "missed").exists():
            missed = (state / "missed").read_text(encoding="utf-8")
            say(f"of a further program that it started nothing is recorded: {missed}")


def _as_it_ended(code_state: dict[str, Any], story: Mapping[str, Any], *, is_python: bool) -> dict[str, Any]:
    """The code as it was at the start, with what only its end could tell.

    What one Python below a shell imported is not all that ran: it is listed, and not said to be the program.
    """
    if "notebook" in code_state and story.get("cell") is not None:
        code_state = {**code_state, "notebook": {**code_state["notebook"], "cell": story["cell"]}}
    if "imported" in story:
        code_state = code.with_imported(code_state, story["imported"])
    return code_state if is_python else {key: code_state[key] for key in code_state if key != "modules"}


def _merged(last: dict[str, Any], story: Mapping[str, Any], *, is_python: bool) -> dict[str, Any]:
    """The wrapper's last event with what the program knew, whose word counts about itself.

    But for what was started: of `spark-submit --conf … train.py` the script knows the end only.
    """
    for entity in ("run", "job"):
        facets = {**last[entity]["facets"], **story[entity]["facets"]}
        if entity == "run" and "errorMessage" in last["run"]["facets"]:
            facets["errorMessage"] = last["run"]["facets"]["errorMessage"]
        mine = last[entity]["facets"].get(_CODE, {})
        if not is_python and "command" in mine and _CODE in facets:
            facets[_CODE] = {**facets[_CODE], "command": mine["command"]}
        last[entity] = {**last[entity], "facets": facets}
    return {**last, "inputs": story["inputs"], "outputs": story["outputs"]}


def _ending(returned: int, story: Mapping[str, Any]) -> tuple[EventType, dict[str, Any] | None]:
    if returned == 0:
        return "COMPLETE", None
    if returned < 0:
        return "ABORT", outcome.message(f"killed by {_signal_name(-returned)}")
    kind: EventType = "ABORT" if story.get("interrupted") else "FAIL"
    return kind, story.get("error") or outcome.message(f"exit code {returned}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"


def _story(path: Path) -> dict[str, Any]:
    """What the program wrote down; nothing, if it had no occasion to."""
    if not path.exists():
        return {}
    with guarded("reading the state of the program"):
        story: dict[str, Any] = json.loads(path.read_bytes())
        return story
    return {}


def _block() -> Mask:
    """Keep signals for `_wait`, from before the program starts, so that none is lost and none kills us."""
    if not hasattr(signal, "sigwaitinfo"):
        return None
    return signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED | {signal.SIGCHLD})


def _unblock(mask: Mask) -> None:
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _start(command: Sequence[str], variables: Mapping[str, str], mask: Mask) -> "subprocess.Popen[bytes]":
    """The program as a shell would start it: with our streams and open files, and the host's signal mask.

    Raises:
        OSError: it cannot be started.
    """
    restore = None if mask is None else lambda: _unblock(mask)
    return subprocess.Popen(
        command,
        env=variables,
        close_fds=False,
        preexec_fn=restore,  # noqa: PLW1509  there is only one thread yet
    )


def _wait(child: "subprocess.Popen[bytes]") -> int:
    """Wait for the end of the program and hand on what signals somebody sends to us."""
    if not hasattr(signal, "sigwaitinfo"):
        return _wait_simply(child)
    while (returned := child.poll()) is None:
        received = signal.sigwaitinfo(_FORWARDED | {signal.SIGCHLD})
        if _is_to_forward(received, child.pid):
            child.send_signal(received.si_signo)
    return returned


def _is_to_forward(received: "signal.struct_siginfo", child: int) -> bool:
    """Whether the program did not get the signal by itself.

    A signal of the terminal (Ctrl-C) goes to the whole process group, which the program is in: the kernel
    sends those, with a code above 0, and processes the others. The program's own come from the program.
    """
    by_a_process = received.si_code <= 0 and received.si_pid != child
    return received.si_signo != signal.SIGCHLD and by_a_process


def _wait_simply(child: "subprocess.Popen[bytes]") -> int:
    """Where the system does not tell who sent a signal: SIGINT is taken for the terminal's."""
    before = signal.signal(signal.SIGTERM, lambda number, _: child.send_signal(number))
    try:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, before)

"""`modeltrail run -- CMD`: the program is as without us, and its run is told to the end."""

import hashlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

import modeltrail
import modeltrail_schemas
from modeltrail.launch import wrapper
from modeltrail.launch.command import Command, read

COMMAND = [str(Path(sys.executable).parent / "modeltrail"), "run"]
PYTHON = sys.executable


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "lineage"


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """`program(code)` writes train.py."""

    def write(code: str) -> Path:
        (tmp_path / "train.py").write_text("import modeltrail, os, sys, signal, time\n" + code)
        return tmp_path / "train.py"

    return write


@pytest.fixture
def launch(tmp_path: Path, program) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """`launch(code)` runs it as `modeltrail run -- python train.py`, or as the command given."""

    def run(code: str, *command: str, options: tuple[str, ...] = (), **environment: str):
        program(code)
        return subprocess.run(
            [*COMMAND, *options, "--", *(command or (PYTHON, "train.py"))],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def told(events: list[dict]) -> list[tuple[str, str]]:
    return [(event["job"]["name"], event["eventType"]) for event in events]


def message(event: dict) -> str | None:
    return event["run"]["facets"].get("errorMessage", {}).get("message")


RECORD = "run = modeltrail.current_run(); run.params({'a': 1}); run.metric('loss', 0.5, step=7)\n"


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("", (0, "COMPLETE", None)),
        ("sys.exit()", (0, "COMPLETE", None)),
        ("sys.exit(3)", (3, "FAIL", "exit code 3")),
        ("sys.exit('no data')", (1, "FAIL", "exit code 1")),
        ("raise ValueError('token=abc123secret')", (1, "FAIL", "ValueError: token=[redacted]")),
        ("time.sleep(.3); os._exit(0)", (0, "COMPLETE", None)),
        ("time.sleep(.3); os._exit(7)", (7, "FAIL", "exit code 7")),
        ("time.sleep(.3); os.kill(os.getpid(), signal.SIGKILL)", (137, "ABORT", "killed by SIGKILL")),
        ("time.sleep(.3); os.kill(os.getpid(), signal.SIGTERM)", (143, "ABORT", "killed by SIGTERM")),
        ("time.sleep(.3); os.abort()", (134, "ABORT", "killed by SIGABRT")),
        ("raise KeyboardInterrupt", (130, "ABORT", "killed by SIGINT")),
    ],
)
def test_each_end_is_the_programs_own_and_is_told(launch, inbox, log, code, end):
    """Exit code and last event follow the program's end, and what it recorded before is in the event."""
    returned, kind, error = end
    speak = "print('out', flush=True); print('err', file=sys.stderr, flush=True)\n"
    result = launch(RECORD + speak + code)
    assert (returned, "out\n") == (result.returncode, result.stdout)
    assert result.stderr.startswith("err\n")
    assert result.stderr.count("modeltrail:") == ("_exit(0)" in code)
    order = ["START", "RUNNING", kind]
    events = sorted(inbox(log), key=lambda event: order.index(event["eventType"]))
    assert order == [event["eventType"] for event in events]
    last = events[-1]
    assert error == message(last)
    assert 1 == len({event["run"]["runId"] for event in events})
    facets = last["run"]["facets"]
    assert ["a"] == [each["name"] for each in facets["modelTrail_hyperparameters"]["params"]]
    assert {"modelTrail_codeState", "modelTrail_environment", "modelTrail_metrics"} <= set(facets)
    assert [PYTHON, "train.py"] == facets["modelTrail_codeState"]["argv"]
    command = facets["modelTrail_codeState"]["command"]
    assert ["modeltrail", "run", "--", PYTHON, "train.py"] == command
    assert "environmentVariables" in facets
    assert 7 == events[1]["run"]["facets"]["modelTrail_metricSeries"]["points"][0]["step"]
    assert "abc123secret" not in json.dumps(events)
    if "ValueError" in code:
        assert "train.py" in facets["errorMessage"]["stackTrace"]


@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_what_was_put_out_last_is_told_of_a_program_that_ends_itself(launch, inbox, log, end):
    """A model that is saved right before `os._exit` or a kill is in the last event of the run."""
    save = "for n in b'ab':\n    open('m.bin', 'wb').write(bytes([n])); run.output_model('m.bin')\n"
    ran = launch(RECORD + save + end)
    (output,) = inbox(log)[-1]["outputs"]
    told = output["outputFacets"]["modelTrail_modelArtifact"]
    assert ("m.bin", hashlib.sha256(b"b").hexdigest()) == (Path(output["name"]).name, told["digest"])
    assert ("without the end of Python" in ran.stderr) == (ran.returncode == 0)


def test_a_program_that_knows_nothing_of_us_is_recorded(launch, inbox, log, tmp_path):
    """A plain scikit-learn script is recorded by autolog: data, parameters and the saved model."""
    result = launch(
        "import joblib, pandas as pd\nfrom sklearn.linear_model import LogisticRegression\n"
        "frame = pd.DataFrame({'age': [1.0, 2, 3, 4], 'y': [0, 1, 0, 1]})\n"
        "joblib.dump(LogisticRegression(C=0.5).fit(frame[['age']], frame['y']), 'm.joblib')"
    )
    assert (0, "") == (result.returncode, result.stderr)
    events = inbox(log)
    assert [("train", "START"), ("train", "COMPLETE")] == told(events)
    last = events[-1]
    params = last["run"]["facets"]["modelTrail_hyperparameters"]["params"]
    assert 0.5 == next(each["value"] for each in params if each["name"] == "C")
    assert [str(tmp_path / "m.joblib")] == [each["name"] for each in last["outputs"]]
    assert "TRAIN" == last["job"]["facets"]["jobType"]["jobType"]


def test_autolog_can_be_left_out(launch, inbox, log):
    """With --no-autolog only what the program itself records is told."""
    launch(
        "from sklearn.linear_model import LogisticRegression\nLogisticRegression().fit([[1], [2]], [0, 1])",
        options=("--no-autolog", "--name", "mine", "--namespace", "ns"),
    )
    events = inbox(log)
    assert [("mine", "START"), ("mine", "COMPLETE")] == told(events)
    assert "ns" == events[-1]["job"]["namespace"]
    assert "modelTrail_hyperparameters" not in events[-1]["run"]["facets"]


def test_stdin_and_open_files_reach_the_program(tmp_path, program):
    """Standard input, and other open files, are the program's as without the wrapper."""
    program("print(sys.stdin.read()); os.write(int(sys.argv[1]), b'more')")
    reader, writer = os.pipe()
    result = subprocess.run(
        [*COMMAND, "--", PYTHON, "train.py", str(writer)],
        cwd=tmp_path,
        input="given",
        pass_fds=[writer],
        capture_output=True,
        text=True,
        check=True,
    )
    os.close(writer)
    assert "given\n" == result.stdout
    assert b"more" == os.read(reader, 10)
    os.close(reader)


def test_runs_of_the_program_are_children_of_its_run(launch, inbox, log):
    """A run that the program opens is a child of the script's run; subprocesses are silent, or below it."""
    launch(
        "import subprocess\n"
        "with modeltrail.run('inner'):\n"
        "    subprocess.run([sys.executable, '-c', 'pass'], check=True)\n"
        "    subprocess.run([sys.executable, '-c', 'import modeltrail\\n"
        'with modeltrail.run("below"): pass\'], check=True)'
    )
    events = inbox(log)
    ids = {event["job"]["name"]: event["run"]["runId"] for event in events}
    parents = {
        event["job"]["name"]: event["run"]["facets"].get("parent", {}).get("run", {}).get("runId")
        for event in events
    }
    assert {"train": None, "inner": ids["train"], "below": ids["inner"]} == parents
    assert 6 == len(events)


def test_workers_of_the_program_are_silent(launch, inbox, log):
    """Spawned and forked workers neither take over the script's run nor end it."""
    result = launch(
        "import multiprocessing\n"
        "def work(n): return modeltrail.current_run() is None\n"
        "if __name__ == '__main__':\n"
        "    for method in ('fork', 'spawn'):\n"
        "        with multiprocessing.get_context(method).Pool(2) as pool: print(pool.map(work, [1, 2]))\n"
        "    modeltrail.current_run().params({'a': 1})"
    )
    assert "[True, True]\n[True, True]\n" == result.stdout
    assert [("train", "START"), ("train", "COMPLETE")] == told(inbox(log))


def test_a_program_that_becomes_another_is_followed(launch, inbox, log, tmp_path):
    """A launcher that executes the script in its own place hands the run on."""
    (tmp_path / "launcher.py").write_text(
        "import os, sys\nos.execv(sys.executable, [sys.executable, 'train.py'])"
    )
    launch(RECORD, PYTHON, "launcher.py")
    events = inbox(log)
    assert "modelTrail_hyperparameters" in events[-1]["run"]["facets"]


def test_what_spark_submit_asks_first_is_no_script(launch, inbox, log, tmp_path):
    """The spark-submit of pip asks a Python program where Spark lies before it starts the driver."""
    (tmp_path / "find_spark_home.py").write_text("print('/spark')")
    submit = tmp_path / "spark-submit"
    submit.write_text(f"#!/bin/sh\n{PYTHON} find_spark_home.py\nexec {PYTHON} $1\n")
    submit.chmod(0o755)
    launch(RECORD, "./spark-submit", "train.py")
    events = inbox(log)
    assert [("train", "START"), ("train", "RUNNING"), ("train", "COMPLETE")] == told(events)
    assert "modelTrail_hyperparameters" in events[-1]["run"]["facets"]


def test_what_a_program_was_started_by_is_told_whole(launch, inbox, log, tmp_path):
    """Options of a spark-submit never reach the script, which has an environment of its own to tell of."""
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", tmp_path / "other"], check=True)
    found = [Path(module.__file__).parents[1] for module in (modeltrail, modeltrail_schemas, attrs)]
    (tmp_path / "submit").write_text(f"#!/bin/sh\nshift 2\nexec {tmp_path / 'other/bin/python'} $1\n")
    (tmp_path / "submit").chmod(0o755)
    path = os.pathsep.join(map(str, found))
    launch(RECORD, "./submit", "--conf", "a=b", "train.py", PYTHONPATH=path)
    code = inbox(log)[-1]["run"]["facets"]["modelTrail_codeState"]
    assert ["modeltrail", "run", "--", "./submit", "--conf", "a=b", "train.py"] == code["command"]
    assert ["train.py"] == code["argv"]


def test_a_wrapper_in_a_wrapper_is_a_child(launch, inbox, log, tmp_path):
    """A wrapped step of a wrapped pipeline is a run below the pipeline's."""
    (tmp_path / "pipeline.sh").write_text(f"{' '.join(COMMAND)} -- {PYTHON} train.py\n")
    result = launch(RECORD, "sh", "pipeline.sh")
    assert 0 == result.returncode
    events = inbox(log)
    ends = {event["job"]["name"]: event for event in events if event["eventType"] == "COMPLETE"}
    assert {"pipeline", "train"} == set(ends)
    assert ends["pipeline"]["run"]["runId"] == ends["train"]["run"]["facets"]["parent"]["run"]["runId"]
    assert "modelTrail_hyperparameters" in ends["train"]["run"]["facets"]


def test_the_hosts_sitecustomize_is_imported(launch, tmp_path):
    """An existing sitecustomize is imported under its name, and our folder is no longer on sys.path."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "sitecustomize.py").write_text("import builtins; builtins.HOST = __file__")
    code = "print(HOST == sys.modules['sitecustomize'].__file__, [p for p in sys.path if 'launch' in p])"
    result = launch(code, PYTHONPATH=str(tmp_path / "host"))
    assert ("True []\n", "") == (result.stdout, result.stderr)


def test_a_broken_sitecustomize_is_reported_as_ever(launch, tmp_path):
    """The error of the host's own sitecustomize is shown by Python as without us."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "sitecustomize.py").write_text("import no_such_module")
    result = launch("print('ran')", PYTHONPATH=str(tmp_path / "host"))
    assert "ran\n" == result.stdout
    assert "no_such_module" in result.stderr


@pytest.mark.parametrize("option", ["-I", "-S", "-E", "-sE"])
def test_where_python_cannot_be_seen_into_it_says_so(launch, inbox, log, option):
    """Options that keep Python from loading sitecustomize are named in one line; start and end are told."""
    result = launch("", PYTHON, option, "-c", "print('ran')")
    assert (0, "ran\n", 1) == (result.returncode, result.stdout, result.stderr.count("\n"))
    assert "nothing is recorded from inside" in result.stderr
    assert ["START", "COMPLETE"] == [event["eventType"] for event in inbox(log)]


def test_a_program_that_is_no_python_is_told_from_outside(launch, inbox, log):
    """Of a program without Python start, end and command line are told, and one line says so."""
    result = launch("", "sh", "-c", "echo ran; exit 4")
    assert (4, "ran\n", 1) == (result.returncode, result.stdout, result.stderr.count("\n"))
    events = inbox(log)
    assert [("sh", "START"), ("sh", "FAIL")] == told(events)
    assert ["sh", "-c", "echo ran; exit 4"] == events[-1]["run"]["facets"]["modelTrail_codeState"]["argv"]


def test_a_python_without_modeltrail_says_so(launch, tmp_path):
    """A Python that has no modeltrail runs as ever, and one line names it."""
    (tmp_path / "bare").mkdir()
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    result = launch("", str(tmp_path / "bare" / "bin" / "python"), "-c", "print('ran')")
    assert (0, "ran\n", 1) == (result.returncode, result.stdout, result.stderr.count("\n"))
    assert "No module named" in result.stderr


def test_a_missing_command_is_127(launch, log):
    """A command that is not there ends with 127 and one line, and no run is told."""
    result = launch("", "no-such-command-anywhere")
    assert (127, "modeltrail: no-such-command-anywhere: command not found\n") == (
        result.returncode,
        result.stderr,
    )
    assert not log.exists()


def test_a_file_that_cannot_be_executed_is_126(launch, tmp_path):
    """A file that cannot be executed ends with 126 and one line."""
    (tmp_path / "data.txt").write_text("no program")
    assert 126 == launch("", "./data.txt").returncode


def test_disabled_means_untouched(launch, log):
    """With OPENLINEAGE_DISABLED the program runs without anything of ours around it."""
    result = launch(
        "print('PYTHONPATH' in os.environ, 'MODELTRAIL_LAUNCH' in os.environ)", OPENLINEAGE_DISABLED="true"
    )
    assert ("False False\n", "") == (result.stdout, result.stderr)
    assert not log.exists()


def test_an_unwritable_log_changes_nothing_for_the_program(launch, tmp_path):
    """Where no event can be written the program's output and exit code are its own."""
    (tmp_path / "file").write_text("")
    result = launch("print('ran'); sys.exit(5)", MODELTRAIL_LOG=str(tmp_path / "file" / "log"))
    assert (5, "ran\n") == (result.returncode, result.stdout)


def test_a_chdir_of_the_program_moves_no_event(launch, inbox, tmp_path, monkeypatch):
    """The local log stays where the wrapper was started, wherever the program goes."""
    monkeypatch.delenv("MODELTRAIL_LOG")
    launch("os.chdir('/tmp')\nwith modeltrail.run('inner'): pass")
    assert 4 == len(inbox(tmp_path / "lineage"))


@pytest.fixture
def started(tmp_path: Path, program) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """`started(code)` starts the wrapped program and waits until it prints `ready`."""
    running = []

    def start(code: str, **options) -> "subprocess.Popen[str]":
        program(RECORD + "time.sleep(.2)\n" + code)
        process = subprocess.Popen(
            [*COMMAND, "--", PYTHON, "-u", "train.py"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        running.append(process)
        assert "ready\n" == process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


COUNTING = (
    "got = []\n"
    "for name in ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1'):\n"
    "    signal.signal(getattr(signal, name), lambda number, _: got.append(number))\n"
    "print('ready')\n"
    "end = time.monotonic() + 20\n"
    "while not got and time.monotonic() < end: time.sleep(.01)\n"
    "time.sleep(.3); print(got); sys.exit(5)"
)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1"])
def test_a_signal_to_the_wrapper_reaches_the_program_once(started, inbox, log, name):
    """A signal sent to the wrapper is handed on once; the program decides what becomes of it."""
    process = started(COUNTING)
    process.send_signal(getattr(signal, name))
    out, _ = process.communicate(timeout=30)
    assert (f"[{int(getattr(signal, name))}]\n", 5) == (out, process.returncode)
    assert "FAIL" == inbox(log)[-1]["eventType"]


def test_a_program_killed_by_a_signal_is_aborted(started, inbox, log):
    """SIGTERM to the wrapper kills a program that does not handle it: 143, and ABORT with its story."""
    process = started("print('ready'); time.sleep(20)")
    process.terminate()
    assert 143 == process.wait(timeout=30)
    last = inbox(log)[-1]
    assert ("ABORT", "killed by SIGTERM") == (last["eventType"], message(last))
    assert "modelTrail_hyperparameters" in last["run"]["facets"]


def test_ctrl_c_of_a_terminal_reaches_the_program_once(tmp_path, program, inbox, log):
    """Each Ctrl-C of a terminal goes to the program once, as without the wrapper, which outlives them all."""
    program(
        "got = []\n"
        "def count(*_): got.append(1); print(f'<{len(got)}>')\n"
        "signal.signal(signal.SIGINT, count)\n"
        "print('<0>'); sys.stdin.readline(); time.sleep(.3); print(f'({len(got)})'); sys.exit(5)"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execv(COMMAND[0], [*COMMAND, "--", PYTHON, "-u", "train.py"])
    until(terminal, b"<0>")
    for number in range(1, 11):  # several: two signals at once may melt into one
        os.write(terminal, b"\x03")
        until(terminal, b"<%d>" % number)
    os.write(terminal, b"\n")
    assert b"(10)" in until(terminal, b")")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert 5 == os.waitstatus_to_exitcode(status)
    assert "FAIL" == inbox(log)[-1]["eventType"]


def until(terminal: int, wanted: bytes) -> bytes:
    """What the terminal shows up to `wanted`."""
    shown = b""
    deadline = time.monotonic() + 30
    while wanted not in shown and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 1024)
    return shown


@pytest.mark.parametrize(
    ("number", "code", "sender", "expected"),
    [
        (signal.SIGTERM, 0, 1, True),  # kill
        (signal.SIGTERM, -1, 1, True),  # sigqueue
        (signal.SIGINT, 128, 0, False),  # the terminal, whose signal the program got itself
        (signal.SIGTERM, 0, 42, False),  # the program, to its group
        (signal.SIGCHLD, 1, 42, False),
    ],
)
def test_what_the_program_got_by_itself_is_not_forwarded(number, code, sender, expected):
    """Signals of other processes are forwarded, those of the terminal and of the program itself are not."""
    received = signal.struct_siginfo((number, code, 0, sender, 0, 0, 0))
    assert expected == wrapper._is_to_forward(received, 42)


def test_without_news_of_the_sender_signals_are_forwarded_simply(program):
    """Where the system does not say who sent a signal, waiting still gives the program's exit code."""
    child = subprocess.Popen([PYTHON, program("sys.exit(6)")])
    assert 6 == wrapper._wait_simply(child)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python train.py --x 1", Command("train", "train.py")),
        ("/usr/bin/python3.11 -u -W error src/train.py -I", Command("train", "src/train.py")),
        ("python -m churn.train", Command("churn.train")),
        ("python -Xdev -mchurn", Command("churn")),
        ("python -c pass", Command("python")),
        ("python -", Command("python")),
        ("python", Command("python")),
        ("python -Im pip", Command("pip", None, "-I")),
        ("python --check-hash-based-pycs never -S train.py", Command("train", "train.py", "-S")),
        ("accelerate launch --x train.py", Command("train", "train.py", is_python=False)),
        ("./run.sh", Command("run", "./run.sh", is_python=False, is_shell=True)),
        ("bash -eu -o pipefail a/pipe.sh x.py", Command("pipe", "a/pipe.sh", is_python=False, is_shell=True)),
        ("nice bash -c train.py", Command("bash", is_python=False, is_shell=True)),
        ("make train.py", Command("make", is_python=False, is_shell=True)),
        ("spark-submit --name sh.x train.py", Command("train", "train.py", is_python=False)),
        ("./no-such-program", Command("no-such-program", is_python=False)),
        ("jupyter execute a/train.ipynb", Command("train", "a/train.ipynb", is_python=False)),
        ("papermill train.ipynb out.ipynb -p C 1", Command("train", "train.ipynb", is_python=False)),
        (
            "jupyter nbconvert --output out.ipynb --execute train.ipynb",
            Command("train", "train.ipynb", is_python=False),
        ),
        ("python -Im nbconvert --output=o.ipynb t.ipynb", Command("t", "t.ipynb", "-I", is_python=False)),
        ("python look.py train.ipynb", Command("look", "look.py")),
    ],
)
def test_a_command_line_names_its_job(line, expected):
    """The job is named after the script, else the module, else the program."""
    found = read(line.split())
    assert expected == found
    assert (found.notebook is not None) == ("ipynb" in (expected.script or ""))


COPY = "from pyarrow import csv\ncsv.write_csv(csv.read_csv('raw.csv'), 'clean.csv')\n"
FIT = """
import joblib, pandas
from sklearn.linear_model import LogisticRegression
clean = pandas.read_csv('clean.csv')
joblib.dump(LogisticRegression().fit(clean[['a']], clean['b']), 'churn.joblib')
"""
STARTS = (
    "import subprocess, sys\nfor file in sys.argv[1:]: subprocess.run([sys.executable, file], check=True)\n"
)
POOL = """
import multiprocessing, runpy, sys
if __name__ == '__main__':
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        pool.map(runpy.run_path, ['tidy.py'])
"""
LOKY = """
from joblib.externals.loky import get_reusable_executor
import runpy
get_reusable_executor(1).submit(runpy.run_path, 'tidy.py').result()
"""
HELPERS = """
set -e
{python} -c pass
{python} -c "exec(open('tidy.py').read())"
{python} < tidy.py
{python} plain.py
{python} -m pip --version
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A folder with raw.csv and clean.csv, and programs that go on from the one to the other."""
    for name in ("raw.csv", "clean.csv"):
        (tmp_path / name).write_text("a,b\n1,0\n2,1\n3,0\n4,1\n")
    programs = {
        "tidy": COPY,
        "again": COPY,
        "fit": FIT,
        "starts": STARTS,
        "plain": "import pyarrow\n",
        "loky": LOKY,
    }
    for name, code in {**programs, "pool": POOL}.items():
        (tmp_path / f"{name}.py").write_text(code)
    steps = f"{PYTHON} tidy.py\n{PYTHON} fit.py\n"
    (tmp_path / "pipe.sh").write_text(steps)
    (tmp_path / "pipeline").write_text(f"#!/usr/bin/env bash\n{steps}")
    (tmp_path / "pipeline").chmod(0o755)
    (tmp_path / "Makefile").write_text("all:\n" + "".join(f"\t{step}\n" for step in steps.splitlines()))
    return tmp_path


def below(events: list[dict]) -> list[tuple[str, str, str]]:
    """Of each child of a run: its name, its parent's, and how it ended."""
    return [
        (event["job"]["name"], event["run"]["facets"]["parent"]["job"]["name"], event["eventType"])
        for event in sorted(events, key=lambda event: event["eventTime"])
        if event["eventType"] != "START" and "parent" in event["run"]["facets"]
    ]


@pytest.mark.usefixtures("pipeline")
@pytest.mark.parametrize(
    ("command", "root"),
    [
        (("bash", "pipe.sh"), "pipe"),
        (("./pipeline",), "pipeline"),
        (("make", "-s"), "make"),
        (("bash", "-c", f"{PYTHON} tidy.py && {PYTHON} fit.py"), "bash"),
        ((PYTHON, "starts.py", "tidy.py", "fit.py"), "starts"),
    ],
)
def test_each_of_several_programs_is_a_child_of_the_launch(launch, inbox, log, command, root):
    """A Python program that a shell, make or a subprocess starts is a run of its own below the command's."""
    assert launch("", *command).returncode == 0
    events = inbox(log)
    assert below(events) == [(name, root, "COMPLETE") for name in ("tidy", "fit")]
    (whole,) = [event for event in events if event["job"]["name"] == root and event["eventType"] != "START"]
    assert ("COMPLETE", [], []) == (whole["eventType"], whole["inputs"], whole["outputs"])
    fit = next(event for event in events if told([event]) == [("fit", "COMPLETE")])
    files = [Path(each["name"]).name for each in (*fit["inputs"], *fit["outputs"])]
    assert {"clean.csv", "churn.joblib"} <= set(files)


@pytest.mark.usefixtures("pipeline")
@pytest.mark.parametrize(
    "command",
    [
        ("pool.py", "spawn"),
        ("pool.py", "forkserver"),
        ("loky.py",),
        ("starts.py", "pool.py"),
    ],
)
def test_workers_that_libraries_start_are_no_programs(launch, inbox, log, command):
    """Workers of multiprocessing and loky have no runs, whatever they fit."""
    launch("", PYTHON, *command)
    assert below(inbox(log)) == []


@pytest.mark.usefixtures("pipeline")
def test_helpers_of_a_script_have_no_runs(launch, inbox, log):
    """Programs that tell nothing, `-c`, standard input and installed modules have no runs."""
    done = launch("", "bash", "-c", f"{PYTHON} plain.py\n" + HELPERS.format(python=PYTHON))
    assert done.returncode == 0, done.stderr
    assert [name for name, _ in told(inbox(log))] == ["bash", "bash"]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("", ("COMPLETE", None)),
        ("sys.exit()", ("COMPLETE", None)),
        ("raise SystemExit(0)", ("COMPLETE", None)),
        ("try: sys.exit(3)\nexcept SystemExit: pass", ("COMPLETE", None)),
        ("if os.fork() == 0: sys.exit(4)\nos.wait()", ("COMPLETE", None)),
        ("sys.exit(3)", ("FAIL", "exit code 3")),
        ("raise SystemExit('no data')", ("FAIL", "exit code 1")),
        ("if os.fork() == 0: sys.exit(0)\nos.wait(); sys.exit(3)", ("FAIL", "exit code 3")),
        ("raise ValueError('no data')", ("FAIL", "ValueError: no data")),
        ("os.kill(os.getpid(), 15); time.sleep(9)", ("ABORT", "SIGTERM")),
        ("raise KeyboardInterrupt", ("ABORT", "KeyboardInterrupt")),
        ("time.sleep(.3); os.kill(os.getpid(), 9)", ("ABORT", "killed, or ended by os._exit")),
        ("time.sleep(.3); os._exit(0)", ("ABORT", "killed, or ended by os._exit")),
    ],
)
def test_a_further_program_that_fails_says_so(launch, inbox, pipeline, end, expected):
    """The exit code of a program of a shell is that of its run, told once; the command ends as ever."""
    (pipeline / "fails.py").write_text(f"{COPY}import os, sys, time\n{end}\n")
    done = launch("", "bash", "-c", f"{PYTHON} plain.py; {PYTHON} fails.py; exit 5")
    assert (done.returncode, "modeltrail:" in done.stderr) == (5, False)
    events = [event for event in inbox(pipeline / "lineage") if event["job"]["name"] == "fails"]
    first, last = events
    assert ("START", *expected) == (first["eventType"], last["eventType"], message(last))
    assert {"raw.csv"} == {Path(each["name"]).name for each in last["inputs"]}


@pytest.mark.usefixtures("pipeline")
def test_the_end_of_a_program_is_told_before_that_of_the_command(launch, log):
    """Soon after a step of a pipeline has ended its run has, too, and not with the whole pipeline."""
    wait = f"for _ in $(seq 100); do grep -q '\"COMPLETE\"' {log}/inbox/* && exit 7; sleep .1; done"
    assert 7 == launch("", "bash", "-c", f"{PYTHON} tidy.py; {wait}").returncode


@pytest.mark.usefixtures("pipeline")
def test_a_program_that_outlives_the_command_tells_its_end(launch, inbox, log, tmp_path):
    """A program in the background goes on when nobody is there any more to ask how it ended."""
    (tmp_path / "late.py").write_text(f"{COPY}import time\nwhile not os.path.exists('go'): time.sleep(.05)\n")
    (tmp_path / "late.py").write_text("import os\n" + (tmp_path / "late.py").read_text())
    launch("", "bash", "-c", f"nohup {PYTHON} late.py > out 2>&1 & {PYTHON} tidy.py")
    (tmp_path / "go").touch()
    until = time.monotonic() + 20
    while ("late", "COMPLETE") not in told(inbox(log)) and time.monotonic() < until:
        time.sleep(0.1)
    assert 1 == told(inbox(log)).count(("late", "COMPLETE"))
    assert "" == (tmp_path / "out").read_text().replace("nohup: ignoring input\n", "")


@pytest.mark.usefixtures("pipeline")
def test_of_many_processes_of_one_program_the_first_tells(launch, inbox, log):
    """Of the processes that a launcher numbers only the one of rank 0 has a run."""
    ranks = " & ".join(f"RANK={rank} WORLD_SIZE=2 {PYTHON} -m again" for rank in range(2))
    launch("", "bash", "-c", f"{PYTHON} plain.py; {ranks}; wait")
    assert below(inbox(log)) == [("again", "bash", "COMPLETE")]


@pytest.mark.usefixtures("pipeline")
def test_runs_of_a_further_program_are_below_what_is_told(launch, inbox, log, tmp_path):
    """A run that a further program opens is a child of it, or of the command while it is silent."""
    opens = "import pyarrow, modeltrail\nwith modeltrail.run('own') as run: run.tag(a=1)\n"
    (tmp_path / "silent.py").write_text(opens)
    (tmp_path / "speaks.py").write_text(f"{COPY}{opens}")
    launch("", PYTHON, "starts.py", "silent.py", "speaks.py")
    assert below(inbox(log)) == [
        ("own", "starts", "COMPLETE"),
        ("own", "speaks", "COMPLETE"),
        ("speaks", "starts", "COMPLETE"),
    ]


def test_ctrl_c_at_the_end_of_the_program_is_no_traceback(launch, inbox, log):
    """Ctrl-C while the last is told lets that finish, and prints nothing of ours; so does a second one."""
    interrupted = "os.kill(os.getpid(), signal.SIGINT)"
    for times in (1, 2):
        code = f"modeltrail.current_run().when_ending(lambda: [{interrupted} for _ in range({times})])"
        done = launch(RECORD + code, PYTHON, "train.py")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    ends = [event for event in inbox(log) if event["eventType"] == "COMPLETE"]
    assert all(event["run"]["facets"]["modelTrail_hyperparameters"] for event in ends)
    assert len(ends) == 2


def test_what_the_program_imported_is_told_at_the_end(launch, inbox, log, tmp_path) -> None:
    """Of the program's own modules the last event names each, and lists those that git does not track."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for name in ("zz_utils.py", "zz_unused.py", *(f"{number:03}.py" for number in range(101))):
        (tmp_path / name).touch()
    launch("import zz_utils, json\n")
    code = inbox(log)[-1]["run"]["facets"]["modelTrail_codeState"]
    listed = [file["path"] for file in code["untracked"]]
    assert ["zz_utils.py"] == code["modules"]
    assert {"train.py", "zz_utils.py"} <= set(listed)
    assert ("train.py", False) == (listed[0], "zz_unused.py" in listed)
    assert (True, 104) == (code["untrackedTruncated"], code["untrackedCount"])
    launch(RECORD + "import zz_utils\n", "sh", "-c", f"{PYTHON} train.py")
    program, shell = (event["run"]["facets"]["modelTrail_codeState"] for event in inbox(log)[-2:])
    assert ("modules" not in shell, ["zz_utils.py"]) == (True, program["modules"])
    assert "zz_utils.py" in [file["path"] for file in program["untracked"]]


def test_what_came_from_outside_of_the_repository_is_told(launch, inbox, log, tmp_path, tmp_path_factory):
    """By PYTHONPATH, with its digest; and the configuration that the text names, which git ignores."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.json\n")
    (tmp_path / "config.json").write_text("{}")
    ours = tmp_path_factory.mktemp("ours")
    (ours / "ourlib.py").touch()
    launch("import ourlib; open('config.json').read(); open('made.json', 'w')\n", PYTHONPATH=str(ours))
    code = inbox(log)[-1]["run"]["facets"]["modelTrail_codeState"]
    assert [("ourlib", str(ours / "ourlib.py"))] == [(one["name"], one["path"]) for one in code["elsewhere"]]
    assert hashlib.sha256(b"").hexdigest() == code["elsewhere"][0]["sha256"]
    assert [".gitignore", "config.json", "train.py"] == sorted(one["path"] for one in code["untracked"])

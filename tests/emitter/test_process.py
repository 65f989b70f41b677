"""Runs in processes that end badly, fork, or cannot write: the host goes on as if we were not there."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "lineage"


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """`script(code)` runs it in a fresh interpreter, in an empty folder, with the log beside it."""

    def run(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "script.py").write_text("import modeltrail, os, sys, signal, threading, time\n" + code)
        return subprocess.run(
            [sys.executable, "script.py"],
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


def test_a_run_that_nobody_ends_is_aborted_at_exit(script, inbox, log):
    """A run that is open when the interpreter ends is aborted, the innermost one first."""
    result = script(
        "modeltrail.run('outer').start(); modeltrail.run('inner').start().metric('loss', 1, step=1)"
    )
    assert (0, "") == (result.returncode, result.stderr)
    assert [
        ("outer", "START"),
        ("inner", "START"),
        ("inner", "RUNNING"),
        ("inner", "ABORT"),
        ("outer", "ABORT"),
    ] == told(inbox(log))


def test_sigterm_aborts_and_kills(script, inbox, log):
    """SIGTERM inside a run sends ABORT, and the process dies of the signal; nothing more of the host runs."""
    result = script(
        "with modeltrail.run('train') as run:\n"
        "    run.params({'a': 1})\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM); time.sleep(1)\n"
        "    finally: print('host code')"
    )
    assert (-signal.SIGTERM, "", "") == (result.returncode, result.stdout, result.stderr)
    events = inbox(log)
    assert [("train", "START"), ("train", "ABORT")] == told(events)
    assert "SIGTERM" == events[-1]["run"]["facets"]["errorMessage"]["message"]
    assert "modelTrail_hyperparameters" in events[-1]["run"]["facets"]


@pytest.mark.parametrize("delay", [0.3, 0.31, 0.32, 0.33, 0.34])
def test_sigterm_during_a_verb_does_not_hang(script, inbox, log, delay):
    """SIGTERM that interrupts our own code ends the process in time, and the run is aborted."""
    result = script(
        "with modeltrail.run('train') as run:\n"
        f"    threading.Timer({delay}, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "    while True: run.metric('loss', 1, step=1)"
    )
    assert -signal.SIGTERM == result.returncode
    assert ("train", "ABORT") == told(inbox(log))[-1]


def test_sigterm_during_the_last_event_lets_it_leave(script, inbox, log):
    """SIGTERM while a run's last event is sent kills the process when that is done, with COMPLETE."""
    result = script(
        "from modeltrail import transports\n"
        "class Slow:\n"
        "    def send(self, key, value):\n"
        "        if b'COMPLETE' in value: os.kill(os.getpid(), signal.SIGTERM); time.sleep(.1)\n"
        "        print(value[:40].decode(), flush=True)\n"
        "    def flush(self, timeout): return True\n"
        "    close = flush\n"
        "with transports.using(Slow()):\n"
        "    with modeltrail.run('train'): pass\n"
        "    print('host code')"
    )
    assert -signal.SIGTERM == result.returncode
    assert 2 == result.stdout.count("eventTime")
    assert "host code" not in result.stdout


def test_a_handler_of_the_host_decides(script, inbox, log):
    """A host that handles SIGTERM and goes on completes its run; its handler is called once and stays."""
    result = script(
        "def mine(number, frame): print('mine', number)\n"
        "signal.signal(signal.SIGTERM, mine)\n"
        "with modeltrail.run('train'): os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert signal.getsignal(signal.SIGTERM) is mine"
    )
    assert (0, "mine 15\n", "") == (result.returncode, result.stdout, result.stderr)
    assert ("train", "COMPLETE") == told(inbox(log))[-1]


def test_a_handler_that_raises_aborts(script, inbox, log):
    """A host whose handler ends the program aborts the run, with the host's exit code."""
    result = script(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
        "with modeltrail.run('train'): os.kill(os.getpid(), signal.SIGTERM); time.sleep(1)"
    )
    assert 9 == result.returncode
    assert ("train", "ABORT") == told(inbox(log))[-1]


def test_an_ignored_sigterm_stays_ignored(script, inbox, log):
    """A host that ignores SIGTERM goes on ignoring it inside a run; after a run the default is back."""
    result = script(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "with modeltrail.run('train'): os.kill(os.getpid(), signal.SIGTERM)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "with modeltrail.run('again'): pass\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL"
    )
    assert (0, "") == (result.returncode, result.stderr)
    assert [("train", "COMPLETE"), ("again", "COMPLETE")] == told(inbox(log))[1::2]


@pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit(0)", "raise ValueError", "pass"])
def test_a_forked_child_ends_no_run_of_its_parent(script, inbox, log, ending):
    """However a forked child leaves the block, the parent's run is told to end once, by the parent."""
    result = script(
        "with modeltrail.run('train') as run:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        assert modeltrail.current_run() is None\n"
        "        run.params({'lost': 1})\n"
        f"        {ending}\n"
        "    else:\n"
        "        os.waitpid(child, 0); run.params({'kept': 1})\n"
        "if child == 0: sys.exit(0)"
    )
    assert 0 == result.returncode, result.stderr
    events = inbox(log)
    assert [("train", "START"), ("train", "COMPLETE")] == told(events)
    assert ["kept"] == [
        each["name"] for each in events[-1]["run"]["facets"]["modelTrail_hyperparameters"]["params"]
    ]


def test_a_run_in_a_forked_child_is_a_child_run(script, inbox, log):
    """A forked child that opens a run of its own has the parent's run as parent, and ends it itself."""
    script(
        "with modeltrail.run('outer') as outer:\n"
        "    if (child := os.fork()) == 0:\n"
        "        modeltrail.run('inner').start()\n"
        "        sys.exit(0)\n"
        "    os.waitpid(child, 0)"
    )
    events = inbox(log)
    assert sorted(
        [("outer", "START"), ("outer", "COMPLETE"), ("inner", "START"), ("inner", "ABORT")]
    ) == sorted(told(events))
    inner = next(event for event in events if event["job"]["name"] == "inner")
    outer = next(event for event in events if event["job"]["name"] == "outer")
    assert outer["run"]["runId"] == inner["run"]["facets"]["parent"]["run"]["runId"]


def test_sigterm_in_a_forked_child_is_the_childs(script, inbox, log):
    """A forked child dies of SIGTERM as ever, however soon it comes, and the parent's run goes on."""
    result = script(
        "with modeltrail.run('train'):\n"
        "    for _ in range(100):\n"
        "        if (child := os.fork()) == 0: time.sleep(5); os._exit(1)\n"
        "        os.kill(child, signal.SIGTERM)\n"
        "        assert -15 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])"
    )
    assert (0, "") == (result.returncode, result.stderr)
    assert [("train", "START"), ("train", "COMPLETE")] == told(inbox(log))


TRAIN = (
    "with modeltrail.run('train') as run:\n"
    "    run.params({'a': 1})\n"
    "    for step in range(1500): run.metric('loss', 1, step=step)\n"
    "print('trained')"
)


def test_a_full_disk_costs_the_host_nothing(script):
    """Where nothing can be written the host runs to its end; it is told once."""
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    result = script(full + TRAIN, MODELTRAIL_STRICT="false")
    assert (0, "trained\n") == (result.returncode, result.stdout)
    assert 1 == result.stderr.count("your program goes on")
    assert "Traceback" not in result.stderr


def test_a_log_that_cannot_be_made_costs_the_host_nothing(script, tmp_path):
    """Where the log's folder cannot be made the host runs to its end; it is told once."""
    (tmp_path / "file").write_text("")
    result = script(TRAIN, MODELTRAIL_LOG=str(tmp_path / "file" / "log"))
    assert (0, "trained\n") == (result.returncode, result.stdout)
    assert 1 == result.stderr.count("your program goes on")


def test_a_dead_broker_costs_the_host_no_event(script, tmp_path):
    """With a dead broker the host runs to its end, and every event lies in the spool."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = unused.getsockname()[1]
    spool = tmp_path / "spool"
    configured = (
        "modeltrail.configure(transport={'type': 'modeltrail.KafkaTransport', 'timeout_s': 0.5,"
        f" 'config': {{'bootstrap.servers': '127.0.0.1:{dead}'}}}})\n"
    )
    result = script(configured + TRAIN, MODELTRAIL_SPOOL=str(spool))
    assert (0, "trained\n") == (result.returncode, result.stdout)
    kept = "".join(file.read_text() for file in spool.rglob("*") if file.is_file())
    for kind in ("START", "RUNNING", "COMPLETE"):
        assert kind in kept


def test_strict_raises_what_is_ours(script):
    """With MODELTRAIL_STRICT our failures are the host's to see."""
    result = script("with modeltrail.run('train') as run: run.metric('x', 'word')", MODELTRAIL_STRICT="true")
    assert 1 == result.returncode
    assert "is no number" in result.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_are_silent(script, inbox, log, method):
    """Workers of multiprocessing send nothing of their parent's run, however they are started."""
    result = script(
        "import multiprocessing\n"
        "def work(n): return n * n\n"
        "if __name__ == '__main__':\n"
        f"    with modeltrail.run('train'), multiprocessing.get_context('{method}').Pool(2) as pool:\n"
        "        print(pool.map(work, [1, 2]))"
    )
    assert (0, "[1, 4]\n") == (result.returncode, result.stdout)
    assert [("train", "START"), ("train", "COMPLETE")] == told(inbox(log))

"""`make faults`: the long forms of all rows, and beside them random faults of all kinds at once.

::

    PYTHONPATH=tests python -m faults --duration 10m --seed 7

Prints its seed first and its sums last; exit code 0 if nothing was lost or doubled and no row failed.
The long forms together take about an hour: those that are not reached in the time given are counted and said.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from faults import nemesis
from faults.oracle import TALLY

from modeltrail_collector.failpoints import STEPS

LINE_S = 30.0
ROOT = Path(__file__).resolve().parents[2]
# Two that mostly wait, side by side. The simulation has a target of its own.
LONG_FORMS = (
    ["tests/faults/test_processes.py", "tests/faults/test_network.py"],
    [
        *(f"tests/faults/test_{name}.py" for name in ("records", "storage", "broker", "topic", "segments")),
        *("tests/collector", "tests/contracts", "tests/security"),
    ],
)
GRACE_S = 30.0
"""How long the row that is under way when all worlds have been compared may take to end."""


class Duration(click.ParamType):
    """`90s`, `10m`, `1h`."""

    name = "duration"

    def convert(self, value, param, ctx) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value))
        if not found:
            self.fail(f"{value!r} is no duration: write 90s, 10m or 1h", param, ctx)
        return float(found[1]) * {"s": 1, "": 1, "m": 60, "h": 3600}[found[2]]


@click.command(help=__doc__.partition("\n")[0].partition(": ")[2])
@click.option("--duration", type=Duration(), default="8m", show_default=True, help="How long to do harm.")
@click.option("--seed", type=int, help="Where all chance comes from.  [default: the time]")
def main(duration: float, seed: int | None) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts us in the background ignores it
    seed = int(time.time()) % 100_000 if seed is None else seed
    click.echo(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        os.environ |= {"FAULTS_SEED": str(seed), TALLY: str(directory / "tally")}
        rows = [
            _start(paths, duration, directory / f"rows-{number}") for number, paths in enumerate(LONG_FORMS)
        ]
        try:
            problems = nemesis.run(duration, seed, directory, _progress(directory / "tally"))
            problems += [text for process, output in rows if (text := _outcome(process, output))]
        finally:
            for process, _ in rows:
                process.kill()
        for problem in problems:
            click.echo(problem, err=True)
        sums = _sums(directory / "tally")
    died = {name.removeprefix("died at "): sums[name] for name in sums if name.startswith("died at ")}
    click.echo(f"died at {len(died)} of {len(STEPS)} steps: {_listed(died)}", err=True)
    click.echo(", ".join(f"{name} {sums[name]}" for name in ("produced", "stored", "lost", "twice", "kills")))
    sys.exit(bool(problems or sums["lost"] or sums["twice"] or not sums["produced"]))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def _sums(tally: Path) -> Counter[str]:
    sums: Counter[str] = Counter()
    if tally.exists():
        for line in tally.read_text(encoding="utf-8").splitlines():
            sums.update(json.loads(line))
    return sums


def _progress(tally: Path) -> Callable[[float], None]:
    """A line now and then: there is a person who waits."""
    told = time.monotonic()

    def tell(left: float) -> None:
        nonlocal told
        if time.monotonic() - told >= LINE_S:
            told = time.monotonic()
            click.echo(f"{_sums(tally)['kills']} kills, {left:.0f} s left", err=True)

    return tell


def _start(paths: list[str], duration: float, output: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """The long forms of some tests, in a process of their own; none begins after so many seconds."""
    limit = f"--session-timeout={duration:.0f}"
    command = [sys.executable, "-m", "pytest", "-m", "slow", "--show-capture=no", limit, *paths]
    with output.open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file), output


def _outcome(process: subprocess.Popen[bytes], output: Path) -> str:
    """End the rows, those not reached as well; what failed, or nothing."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(4 * GRACE_S)
    except subprocess.TimeoutExpired:
        return f"the long forms did not end: {output.read_text(encoding='utf-8', errors='replace')}"
    text = output.read_text(encoding="utf-8", errors="replace")
    selected = re.search(r"(\d+) selected|collected (\d+) items?$", text, re.MULTILINE)
    done = {what: int(count) for count, what in re.findall(r"(\d+) (passed|failed|errors?)\b", text[-400:])}
    if selected is None:
        return text
    left = int(selected[1] or selected[2]) - sum(done.values())
    later = f", {left} not reached in this time" if left else ""
    click.echo(f"long forms: {done.pop('passed', 0)} passed, {sum(done.values())} failed{later}", err=True)
    return text if done else ""


if __name__ == "__main__":
    main()

"""`modeltrail maintain`: what it does to a log, what it prints, and its exit codes."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from logs import P0, batch, in_order

from modeltrail_collector.cli.maintain import maintain
from modeltrail_collector.cli.removals import removals
from modeltrail_collector.cli.tables import compact
from modeltrail_collector.cli.verify import verify
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.log.segment import name_of

DAY_MS = 86_400_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of three days a year ago, and one segment of today."""
    today = open_log(tmp_path / "lineage")
    for n in range(30):
        old = Log(today.store, lambda n=n: today_ms(today) - (403 - n // 10) * DAY_MS)
        old.append(P0, batch(n, n + 1))
    today.append(P0, batch(30, 31))
    return tmp_path / "lineage"


def today_ms(log: Log) -> int:
    return log.wall() // DAY_MS * DAY_MS


@pytest.fixture
def call(folder: Path) -> Callable[..., tuple[int, Result]]:
    def run(*arguments: object) -> tuple[int, Result]:
        result = CliRunner().invoke(
            maintain, ["--log", str(folder), *map(str, arguments)], standalone_mode=False
        )
        return result.return_value, result

    return run


def test_small_segments_are_rolled_up(folder: Path, call) -> None:
    """What was done is a table, one line a partition; again, there is nothing to do."""
    code, result = call()
    assert 0 == code
    assert [
        ["topic", "partition", "rolled_up", "rollups", "records_removed", "removed_before"],
        ["events", "0", "30", "3", "0", "0"],
    ] == [line.split("\t") for line in result.stdout.splitlines()]
    assert "" == result.stderr
    assert list(range(31)) == in_order(open_log(folder))
    assert ["0", "0"] == call()[1].stdout.splitlines()[1].split("\t")[2:4]


def test_old_records_are_removed_when_asked(folder: Path, call) -> None:
    """--keep-raw removes what is older; verify says which offsets, and that the chain stands."""
    _, result = call("--keep-raw", "366d", "--json")
    answer = json.loads(result.stdout)
    assert (False, []) == (answer["dry_run"], answer["problems"])
    assert [(20, 20)] == [(done["records_removed"], done["removed_before"]) for done in answer["raw"]]
    assert list(range(20, 31)) == in_order(open_log(folder))
    shown = CliRunner().invoke(verify, ["--log", str(folder)], standalone_mode=False)
    assert 0 == shown.return_value
    assert "offsets 0 to 19: their records were removed by retention" in shown.stderr
    assert "30 of the 31 segments are rolled up" in shown.stderr


def test_a_removal_is_signed_listed_and_verified(folder: Path, call, tmp_path: Path) -> None:
    """--sign: `removals` lists what went, `verify` tells it, and both hold it against the trusted key."""
    ours, public, other = (tmp_path / name for name in ("key.pem", "public.pem", "other.pem"))
    for key in (ours, other):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    subprocess.run(["openssl", "pkey", "-in", ours, "-pubout", "-out", public], check=True)
    call("--keep-raw", "366d", "--sign", ours)
    shown = CliRunner().invoke(
        removals, ["--log", str(folder), "--trust", str(public), "--json"], standalone_mode=False
    )
    assert 0 == shown.return_value
    (listed,) = json.loads(shown.stdout)["removals"]
    assert ("events", 0, 20, 20, True) == (
        *(listed["topic"], listed["first_offset"], listed["next_offset"], listed["records"]),
        listed["trusted"],
    )
    proved = CliRunner().invoke(verify, ["--log", str(folder), "--trust", str(public)], standalone_mode=False)
    assert 0 == proved.return_value
    assert "20 of them" in proved.stderr
    assert "signed by the trusted key" in proved.stderr
    subprocess.run(["openssl", "pkey", "-in", other, "-pubout", "-out", public], check=True)
    for command in (verify, removals):
        given = ["--log", str(folder), "--trust", str(public)]
        told = CliRunner().invoke(command, given, standalone_mode=False)
        assert 1 == told.return_value
        assert "it names the key" in told.stderr


def test_a_key_is_for_what_is_removed(call, folder: Path) -> None:
    """--sign without --keep-raw is a mistake, and said; where nothing was removed `removals` says that."""
    key = folder / "key.pem"
    key.write_bytes(b"")
    assert "--sign goes with --keep-raw" in str(call("--sign", key)[1].exception)
    result = CliRunner().invoke(removals, ["--log", str(folder)], standalone_mode=False)
    assert (0, "") == (result.return_value, result.stdout)
    assert "Nothing was removed" in result.stderr


def test_a_dry_run_says_so(folder: Path, call) -> None:
    """--dry-run prints the figures and leaves every file as it is."""
    before = {path: path.read_bytes() for path in folder.rglob("*.avro")}
    code, result = call("--keep-raw", "52w", "--dry-run")
    assert 0 == code
    assert ["30", "3", "20", "20"] == result.stdout.splitlines()[1].split("\t")[2:]
    assert "dry run" in result.stderr
    assert before == {path: path.read_bytes() for path in folder.rglob("*.avro")}


def test_a_damaged_segment_is_exit_code_1(folder: Path, call) -> None:
    """Damage is said with its offsets and left alone; the rest is rolled up."""
    bad = folder / name_of(P0, 4)
    data = bytearray(bad.read_bytes())
    data[-20] ^= 1
    bad.write_bytes(data)
    code, result = call()
    assert 1 == code
    assert "offsets 4 to 4" in result.stderr
    assert ["29", "4"] == result.stdout.splitlines()[1].split("\t")[2:4]
    assert bytes(data) == bad.read_bytes()


@pytest.mark.parametrize(
    "text", ["365", "d", "1.5d", "-3d", "0d", "", "3y", "9999999w", "²d", "9" * 40 + "d"]
)
def test_what_is_no_duration_is_refused(call, text: str) -> None:
    """A duration is a whole number and a unit; anything else is an error that shows what to write."""
    import click

    result = call("--keep-raw", text)[1]
    assert isinstance(result.exception, click.BadParameter)
    assert repr(text) in str(result.exception)


def test_an_empty_log_needs_nothing(tmp_path: Path) -> None:
    """Where there is no log that is said, with exit code 0."""
    result = CliRunner().invoke(maintain, ["--log", str(tmp_path / "nowhere")], standalone_mode=False)
    assert 0 == result.return_value
    assert f"there is no log at {tmp_path / 'nowhere'}: no records" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_nothing_is_removed_that_the_tables_do_not_hold(folder: Path, call) -> None:
    """--keep-raw compacts first; where a damaged segment stops that, it removes nothing and says why."""
    damaged = folder / name_of(P0, 3)
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-30] + bytes(30))
    code, result = call("--keep-raw", "366d", "--json")
    assert 1 == code
    answer = json.loads(result.stdout)
    assert "no record is removed before the tables hold it" in answer["problems"][0]
    assert {0} == {done["records_removed"] for done in answer["raw"]}


def test_old_runs_are_forgotten_when_asked(folder: Path, call) -> None:
    """--keep-tables forgets what arrived too long ago and says how much; a dry run only says it."""
    CliRunner().invoke(compact, ["--log", str(folder)], standalone_mode=False)
    _, would = call("--keep-tables", "366d", "--dry-run")
    assert "Tables would forget what arrived before" in would.stdout
    _, result = call("--keep-tables", "366d", "--json")
    forgotten = json.loads(result.stdout)["tables"]["forgotten"]
    assert f"{forgotten['rejected']} rejected records" in would.stdout
    assert 31 == forgotten["rejected"]
    assert (
        0 == json.loads(call("--keep-tables", "366d", "--json")[1].stdout)["tables"]["forgotten"]["rejected"]
    )

"""Records of removals wherever a log can lie: what retention took is told and signed, and no edit passes."""

import contextlib
import itertools
import json
import subprocess
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from logs import P0, Died, Mortal, again, batch, in_order, names, restore

from modeltrail_collector.errors import LogFormatError
from modeltrail_collector.log import Log, maintain, parts, removals, rollup, verify
from modeltrail_collector.log.account import RemovalReport
from modeltrail_collector.log.segment import name_of
from modeltrail_collector.log.signing import private_key, public_key
from modeltrail_collector.log.verify import Report
from modeltrail_collector.testing import MemoryStore

DAY_MS = 86_400_000
BEGIN_MS = 1_767_225_600_000  # 2026-01-01
FOLDER = removals.folder_of(P0)
FIRST = f"{FOLDER}/{1:020}.json"
SECOND = f"{FOLDER}/{2:020}.json"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two segments are enough for a roll-up."""
    monkeypatch.setattr(rollup, "FEW", 2)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two keys, `ours` and `other`, as the help of the commands says."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "other"):
        key = folder / f"{name}.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
        public = ["openssl", "pkey", "-in", key, "-pubout", "-out", folder / f"{name}.pub"]
        subprocess.run(public, check=True)
    return folder


def at(log: Log, day: float, store: object = None) -> Log:
    return Log(store or log.store, lambda: BEGIN_MS + int(day * DAY_MS))


def days(log: Log, count: int = 5) -> Log:
    """So many days, each of two segments of two records: four offsets a day."""
    for day, n in itertools.product(range(count), range(2)):
        start = (day * 2 + n) * 2
        at(log, day + n / 10).append(P0, batch(start, start + 2))
    return log


def keep(log: Log, now: float, kept: float, key: Path | None = None, store: object = None) -> None:
    (done,) = maintain(at(log, now, store), keep=timedelta(days=kept), key=key and private_key(key))
    assert () == done.problems


def found(log: Log, trusted: Path | None = None) -> Report:
    return verify(again(log), trusted=trusted and public_key(trusted))


def told(log: Log, trusted: Path | None = None) -> tuple[RemovalReport, ...]:
    (partition,) = found(log, trusted).partitions
    return partition.removals


@pytest.fixture
def thinned(keys: Path) -> Log:
    """A log in memory of five days; two removals, both signed, of the first day and of the second."""
    log = days(Log(MemoryStore()))
    keep(log, 4.5, 3.3, keys / "ours.pem")
    keep(log, 4.5, 2.3, keys / "ours.pem")
    assert (FIRST, SECOND) == tuple(removal.record for removal in told(log))
    return log


def test_a_removal_leaves_a_record_of_what_was_removed(log: Log, keys: Path) -> None:
    """Which offsets and how many records, the links on both sides, when, by which rule, by whom, signed."""
    days(log)
    links = [again(log).header(name_of(P0, 0)).chain_start, again(log).header(name_of(P0, 8)).chain_start]
    keep(log, 4.5, 2.3, keys / "ours.pem")
    (removal,) = told(log, keys / "ours.pub")
    assert (0, 8, 8, *links) == (
        *(removal.first_offset, removal.next_offset, removal.records),
        *(removal.chain_start, removal.chain_end),
    )
    assert ("2026-01-05T12:00:00.000Z", "2026-01-03T04:48:00.000Z") == (
        removal.removed_at,
        removal.sealed_before,
    )
    assert (198_720, True, True) == (removal.keep_seconds, removal.trusted, removal.finished)
    assert "@" in removal.removed_by
    assert list(range(8, 20)) == in_order(again(log))
    assert found(log, keys / "ours.pub").ok


def test_openssl_alone_can_check_a_record(thinned: Log, keys: Path, tmp_path: Path) -> None:
    """As docs/log-format.md says: the statement as compact JSON with sorted keys is what is signed."""
    import base64

    document = json.loads(thinned.store.read(FIRST))
    text = json.dumps(document["statement"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (tmp_path / "statement").write_bytes(text.encode())
    (tmp_path / "signature").write_bytes(base64.b64decode(document["signature"]["value"]))
    checking = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", keys / "ours.pub", "-rawin"]
    files = ["-in", tmp_path / "statement", "-sigfile", tmp_path / "signature"]
    subprocess.run([*checking, *files], check=True, stdout=subprocess.DEVNULL)


def test_another_key_has_not_signed(thinned: Log, keys: Path) -> None:
    """With a key to be trusted a record that another key signed is a problem; without one it is only told."""
    assert found(thinned).ok
    assert [False, False] == [removal.trusted for removal in told(thinned)]
    assert found(thinned, keys / "ours.pub").ok
    problems = found(thinned, keys / "other.pub").problems
    assert ["offsets 0 to 3:", "offsets 4 to 7:"] == [p.partition("0, ")[2][:15] for p in problems]
    assert all("it names the key" in problem for problem in problems)


def test_an_unsigned_removal_is_not_the_keys(keys: Path) -> None:
    """A removal without --sign verifies and says that nobody signed; whoever trusts a key hears of it."""
    log = days(Log(MemoryStore()))
    keep(log, 4.5, 2.3)
    assert found(log).ok
    assert [None] == [removal.signed_by for removal in told(log)]
    (problem,) = found(log, keys / "ours.pub").problems
    assert "is not signed" in problem
    heads = verify(log).heads()
    assert verify(log, heads, trusted=public_key(keys / "ours.pub")).ok


@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_no_altered_record_passes(thinned: Log, name: str) -> None:
    """Whatever a record says otherwise, and wherever one of its bits differs, the log alone tells."""
    whole = thinned.store.read(name)
    statement = json.loads(whole)["statement"]
    for field, value in statement.items():
        document = json.loads(whole)
        document["statement"][field] = value + 1 if isinstance(value, int) else "x"
        thinned.store.contents[name] = json.dumps(document, indent=1).encode()
        assert not found(thinned).ok, field
    for at_byte in range(0, len(whole), 13):
        changed = bytearray(whole)
        changed[at_byte] ^= 4
        thinned.store.contents[name] = bytes(changed)
        with contextlib.suppress(LogFormatError):  # a bit of the format's number
            assert not found(thinned).ok, at_byte
    thinned.store.contents[name] = whole.replace(b"removal 1", b"removal  1")  # no number of a newer one
    assert not found(thinned).ok
    thinned.store.contents[name] = whole
    assert found(thinned).ok


@pytest.mark.parametrize("name", [FIRST, SECOND])
def test_a_removal_without_its_record_is_found(thinned: Log, name: str) -> None:
    """A record that is deleted is missed, by the headers that name it and by the record behind it."""
    del thinned.store.contents[name]
    problems = found(thinned).problems
    assert any("missing or was altered" in problem for problem in problems)
    assert any("record of the removal before it is missing" in p for p in problems) == (name == FIRST)


def test_a_record_written_anew_is_found(thinned: Log) -> None:
    """Who writes a record anew, without the signature, is found: the headers hold the old one's digest."""
    statement = removals.read(thinned, P0)[0][0].statement
    forged = msgspec.structs.replace(statement, removed_by="nobody@nowhere")
    data = msgspec.json.encode({"statement": forged})
    thinned.store.contents[FIRST] = data
    assert any("missing or was altered" in problem for problem in found(thinned).problems)


def test_a_segment_that_was_emptied_by_hand_is_found(thinned: Log) -> None:
    """A header in the place of records that no record speaks of is a problem, whichever record it names."""
    rolled = thinned.header(thinned.header(name_of(P0, 8)).rolled_into)
    data = thinned.store.read(rolled.name)
    for removal in ("", removals.read(thinned, P0)[0][1].sha256, "ab" * 32):
        thinned.store.contents[rolled.name] = parts.removed(rolled, removal)[1]
        (problem,) = found(thinned).problems
        assert "offsets 8 to 11" in problem
    thinned.store.contents[rolled.name] = data
    assert found(thinned).ok
    del thinned.store.contents[name_of(P0, 8)]
    assert "their segment is missing" in found(thinned).problems[0]


def test_what_an_older_modeltrail_removed_stays_readable(keys: Path) -> None:
    """Headers without a record are told, not blamed; one that is made after the first record is."""
    log = days(Log(MemoryStore()))
    for start in (0, 2):
        segment = log.header(name_of(P0, start))
        log.store.contents[segment.name] = parts.removed(segment, "")[1]
    assert found(log).ok
    (partition,) = found(log).partitions
    assert (4, ()) == (partition.unrecorded_before, partition.removals)
    keep(log, 4.5, 2.3, keys / "ours.pem")
    assert found(log).ok
    assert [(4, 8, 4)] == [(told.first_offset, told.next_offset, told.records) for told in told(log)]
    (problem,) = found(log, keys / "ours.pub").problems
    assert "offsets 0 to 3: removed by retention without a record" in problem
    rolled = log.header(log.header(name_of(P0, 8)).rolled_into)
    log.store.contents[rolled.name] = parts.removed(rolled, "")[1]
    (problem,) = found(log).problems
    assert "there is no record of that" in problem


def test_a_log_cut_off_behind_a_removal_is_found(thinned: Log) -> None:
    """A record speaks of offsets that were reached: a log that ends before them was rolled back."""
    for start in range(4, 20, 2):
        del thinned.store.contents[name_of(P0, start)]
    assert any("rolled back" in problem for problem in found(thinned).problems)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_removal_that_was_cut_short_is_finished_by_the_next_run(after: bool, keys: Path) -> None:
    """Killed at any write it was recorded before anything went; the next run needs neither age nor key."""
    log = days(Log(MemoryStore()))
    maintain(at(log, 4.5))
    original = {name: log.store.read(name) for name in names(log)}
    cut_short = 0
    for n in itertools.count(1):
        restore(log, original)
        try:
            writes = frozenset({"create", "replace"})
            keep(log, 4.5, 2.3, keys / "ours.pem", Mortal(log.store, n, after=after, of=writes))
        except Died:
            pass
        else:
            break
        report = found(log)
        assert report.ok, report.problems
        gone = 0 if in_order(again(log))[0] == 0 else in_order(again(log))[0]
        recorded = [removal.next_offset for removal in report.partitions[0].removals]
        assert gone == 0 or [8] == recorded, "something went before it was recorded"
        if recorded:
            cut_short += gone < 8
            assert (gone == 8) == report.partitions[0].removals[0].finished
            (planned,) = maintain(at(log, 4.6), dry_run=True)
            (done,) = maintain(at(log, 4.6))
            assert (8 - gone, 8) == (done.records_removed, done.removed_before)
            assert done == planned
            assert found(log, keys / "ours.pub").ok
            assert list(range(8, 20)) == in_order(again(log))
    assert cut_short == 2


def test_records_are_not_taken_for_sound_when_one_is_not(thinned: Log) -> None:
    """Where a record was altered retention removes nothing more, and says why."""
    thinned.store.contents[SECOND] = b"{}"
    before = dict(thinned.store.contents)
    (done,) = maintain(at(thinned, 40), keep=timedelta(days=1))
    assert "it was altered, or torn" in done.problems[0]
    assert 0 == done.records_removed
    assert before == thinned.store.contents

"""Backup and restore as docs/operations.md describes them, while a log grows and is rolled up."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from logs import P0, batch, in_order, names
from obstore.store import from_url

from modeltrail_collector.log import Log, maintain, open_log, rollup, verify
from modeltrail_collector.model import LOCAL, LogPartition
from modeltrail_collector.pump import Limits, Pump, seal_inbox
from modeltrail_collector.testing import MemorySource, MemoryTopic

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
COPIES = 20
DAY_MS = 86_400_000

((BLOCK, LIST),) = re.findall(
    r"^```sh\n(mkdir -p backup.*?for part in (.*?);.*?)^modeltrail",
    PAGE.read_text(),
    re.MULTILINE | re.DOTALL,
)
PARTS = LIST.split()

Copy = Callable[[], Log]
"""One run of the commands; the copy, opened."""


def copied_by_cp(folder: Path, then: Callable[[str], None] = lambda _: None) -> Copy:
    """By the lines of the page; `then` is called after each part, with its name."""

    def copy() -> Log:
        for part in PARTS:
            command = BLOCK.replace(LIST, part)
            subprocess.run(["bash", "-c", command], cwd=folder, check=False, stderr=subprocess.DEVNULL)
            then(part)
        return open_log(folder / "backup" / "lineage")

    return copy


def copied_by_obstore(uri: str) -> Copy:
    """In the order of the page, to another folder of the bucket."""

    def copy() -> Log:
        source, target = (
            from_url(each, client_options={"allow_http": True}) for each in (uri, f"{uri}-backup")
        )
        for part in PARTS:
            for page in obstore.list(source, part):
                for item in page:
                    obstore.put(target, item["path"], obstore.get(source, item["path"]).bytes())
        return open_log(f"{uri}-backup")

    return copy


@pytest.fixture(params=["disk", "s3"])
def log_and_copy(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Log, Copy]:
    if request.param == "s3":
        uri = request.getfixturevalue("s3_uri")
        return open_log(uri), copied_by_obstore(uri)
    return open_log(tmp_path / "lineage"), copied_by_cp(tmp_path)


def pump(log: Log, topic: MemoryTopic) -> Iterator[None]:
    """Collect, a segment a step, until all is collected."""
    source = MemorySource(topic, max_records=1)
    collector = Pump(source, log, until_end=True, limits=Limits(rows=1))
    while not collector.done:
        collector.turn()
        yield
    source.close()


def everything(log: Log, partition: LogPartition) -> list[int]:
    fresh = open_log(log.uri)
    return [entry.offset for segment in fresh.segments(partition) for entry in fresh.read(segment)]


def test_a_copy_of_a_log_in_use_is_a_log(
    log_and_copy: tuple[Log, Copy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied while it grows and is rolled up, and again where it has holes, it verifies and goes on."""
    monkeypatch.setattr(rollup, "FEW", 5)
    log, copy = log_and_copy
    topic = MemoryTopic()
    for number in range(60):
        topic.append(0, b"%d" % number)
    partition = topic.partition(0)
    working = threading.Event()

    def work() -> None:
        for step, _ in enumerate(pump(log, topic)):
            if step % 20 == 19:
                with log.store.lease("raw") as lease:
                    rollup.RollUp(open_log(log.uri), partition, lease, lambda _: None).run()
            if step == 5:
                working.set()

    worker = threading.Thread(target=work)
    worker.start()
    working.wait(60)
    backup = copy()
    for _ in range(COPIES):
        if verify(open_log(backup.uri)).ok:
            break
        backup = copy()
    heads = verify(open_log(backup.uri)).heads()
    worker.join()
    report = verify(open_log(backup.uri), heads)
    assert report.ok, report.problems
    held = everything(backup, partition)
    assert 5 < len(held)
    assert list(range(len(held))) == held
    assert verify(open_log(log.uri), heads).ok


def test_an_old_backup_goes_on_where_it_ends(log_and_copy: tuple[Log, Copy]) -> None:
    """What came after the backup is collected again once; a head written after it tells of the restore."""
    log, copy = log_and_copy
    topic = MemoryTopic()
    for number in range(10):
        topic.append(0, b"%d" % number)
    list(pump(log, topic))
    backup = copy()
    heads = verify(backup).heads()
    for number in range(10, 20):
        topic.append(0, b"%d" % number)
    list(pump(log, topic))
    later = verify(open_log(log.uri)).heads()

    assert "rolled back" in verify(open_log(backup.uri), later).problems[0]
    list(pump(open_log(backup.uri), topic))
    assert list(range(20)) == everything(backup, topic.partition(0))
    assert verify(open_log(backup.uri), heads).ok
    assert "not those of the earlier head" in verify(open_log(backup.uri), later).problems[0]


def test_a_backup_older_than_retention_says_what_is_gone(log_and_copy: tuple[Log, Copy]) -> None:
    """What Kafka has removed since the backup becomes a gap, and the rest is collected."""
    log, copy = log_and_copy
    topic = MemoryTopic()
    for number in range(10):
        topic.append(0, b"%d" % number)
    list(pump(log, topic))
    backup = copy()
    for number in range(10, 20):
        topic.append(0, b"%d" % number)
    topic.remove_before(0, 15)
    list(pump(open_log(backup.uri), topic))
    assert [*range(10), *range(15, 20)] == everything(backup, topic.partition(0))
    gaps = [gap for segment in open_log(backup.uri).segments(topic.partition(0)) for gap in segment.gaps]
    assert [(10, 15, "retention")] == [(gap.first_offset, gap.next_offset, gap.reason) for gap in gaps]
    assert verify(open_log(backup.uri)).ok


def seal(log: Log, day: int) -> None:
    """Two segments of two records on a day: four offsets a day."""
    for n in range(2):
        start = (day * 2 + n) * 2
        Log(log.store, lambda: day * DAY_MS).append(P0, batch(start, start + 2))


def tidy(log: Log, day: int) -> None:
    """What `maintain --keep-raw 2d` does on a day: all days before are joined, the older ones removed."""
    maintain(Log(open_log(log.uri).store, lambda: day * DAY_MS), keep=timedelta(days=2))


@pytest.fixture
def maintained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Six days, of which the first two are removed, two are joined, two are as they were sealed."""
    monkeypatch.setattr(rollup, "FEW", 2)
    log = open_log(tmp_path / "lineage")
    for day in range(4):
        seal(log, day)
    tidy(log, 4)
    for day in range(4, 6):
        seal(log, day)
    return log


@pytest.mark.parametrize("when", PARTS)
def test_what_changes_between_two_parts_is_in_the_copy(maintained: Log, tmp_path: Path, when: str) -> None:
    """Sealed, joined or removed after any of the parts, all is there: one run makes a whole copy."""
    log = maintained
    log.inbox.mkdir()
    (log.inbox / "a.ndjson").write_bytes(b"{}\n")
    before = in_order(open_log(log.uri))

    def meanwhile(part: str) -> None:
        if part == when:
            assert 1 == seal_inbox(open_log(log.uri))
            tidy(log, 6)

    backup = copied_by_cp(tmp_path, meanwhile)()
    assert not list(log.inbox.iterdir())
    report = verify(open_log(backup.uri))
    assert report.ok, report.problems
    held = in_order(open_log(backup.uri))
    assert set(in_order(open_log(log.uri))) <= set(held) <= set(before)
    seal_inbox(backup)
    assert [0] == everything(backup, LOCAL)


def test_a_copy_that_lacks_a_file_is_found(maintained: Log, tmp_path: Path) -> None:
    """Whichever file a copy lacks, a segment, a stub, a roll-up, a removal's record: a head of it tells."""
    backup = copied_by_cp(tmp_path)()
    heads = verify(maintained).heads()
    assert verify(open_log(backup.uri), heads).ok
    files = names(backup)
    assert {"raw", "rolled", "removals"} == {name.partition("/")[0] for name in files}
    for name in files:
        data = backup.store.read(name)
        backup.store.remove(name)
        assert not verify(open_log(backup.uri), heads).ok, name
        backup.store.create(name, data)
    assert verify(open_log(backup.uri), heads).ok

"""Power loss on a local disk: whatever a file system may have kept, the log goes on and has what it promised.

The calls that the store makes are recorded, and after every one of them the power fails. What the disk holds
then is one of many states: names (made, linked, renamed, removed) that no `fsync` of their directory covers
are there or not, in every combination; a file whose data was not synced is empty, torn, zeros, or whole. From
each state a collector starts anew.
"""

import errno
import io
import itertools
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from modeltrail_collector.errors import Unavailable
from modeltrail_collector.log import Batch, Log, open_log, rollup, verify
from modeltrail_collector.log import segment as segments
from modeltrail_collector.model import LogPartition
from modeltrail_collector.pump.repair import keep

P0 = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", 0)
P1 = LogPartition("events", "6f2f3f4e-0000-4000-8000-000000000001", 1)

Name = str
"""A path below the place where the log lies; the directory that holds all is ""."""
Node = int | None
"""A file by its inode, or a directory."""


@dataclass
class Names:
    """One change of a directory's names, which is there as a whole or not at all."""

    directory: Name
    changes: tuple[tuple[Name, Node, bool], ...]
    """Name, what it names, and whether it is added."""


@dataclass
class Disk:
    """What is certain, and what may be: the state at some moment, as the calls so far have left it."""

    certain: dict[Name, Node] = field(default_factory=dict)
    pending: list[Names] = field(default_factory=list)
    data: dict[int, bytes] = field(default_factory=dict)
    synced: set[int] = field(default_factory=set)

    def sync_directory(self, directory: Name) -> None:
        for change in [change for change in self.pending if change.directory == directory]:
            _apply(self.certain, change)
            self.pending.remove(change)

    def states(self) -> Iterator[dict[Name, bytes | None]]:
        """Every tree that may be found after the power comes back: contents by name, None for a directory."""
        for chosen in itertools.product((True, False), repeat=len(self.pending)):
            names = dict(self.certain)
            for change in itertools.compress(self.pending, chosen):
                _apply(names, change)
            reachable = {name: node for name, node in names.items() if _is_reachable(name, names)}
            torn = sorted({node for node in reachable.values() if node is not None} - self.synced)
            for contents in itertools.product(*(self._torn(node) for node in torn)):
                data = self.data | dict(zip(torn, contents, strict=True))
                yield {name: None if node is None else data[node] for name, node in reachable.items()}

    def _torn(self, node: int) -> tuple[bytes, ...]:
        data = self.data[node]
        return tuple(dict.fromkeys((b"", data[: len(data) // 2], bytes(len(data)), data)))


def _apply(names: dict[Name, Node], change: Names) -> None:
    for name, node, added in change.changes:
        if added:
            names[name] = node
        else:
            names.pop(name, None)


def _is_reachable(name: Name, names: Mapping[Name, Node]) -> bool:
    parents = [part for part in map(str, Path(name).parents) if part != "."]
    return all(parent in names and names[parent] is None for parent in parents)


class Recorder:
    """Lets every call through, and after each the power fails."""

    def __init__(self, root: Path, checker: "Checker") -> None:
        self.disk = Disk()
        self.root = root
        self.promised = checker.promised
        self.records = checker.records
        self._checker = checker
        self._paused = False
        self._calls = {name: getattr(os, name) for name in ("fsync", "link", "rename", "unlink", "mkdir")}
        self._open = io.open

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in self._calls:
            monkeypatch.setattr(os, name, getattr(self, name))
        monkeypatch.setattr(io, "open", self.open)

    @property
    def states(self) -> int:
        return self._checker.tried

    def power_fails(self) -> None:
        """Now. The calls of the collectors that start anew are not recorded."""
        if self._paused:
            return
        self._paused = True
        with pytest.MonkeyPatch.context() as patch:
            for name, call in self._calls.items():
                patch.setattr(os, name, call)
            patch.setattr(os, "fsync", lambda descriptor: None)
            patch.setattr(io, "open", self._open)
            self._checker.after(self.disk)
        self._paused = False

    def _name(self, path: object) -> Name:
        return str(Path(os.fspath(path)).relative_to(self.root))

    def _names(self, path: object, *changes: tuple[object, Node, bool]) -> None:
        directory = str(Path(self._name(path)).parent)
        named = tuple((self._name(name), node, added) for name, node, added in changes)
        self.disk.pending.append(Names("" if directory == "." else directory, named))
        self.power_fails()

    def open(self, path: object, mode: str = "r", *rest: object, **named: object) -> object:
        file = self._open(path, mode, *rest, **named)
        if "x" in mode:
            node = os.fstat(file.fileno()).st_ino
            self.disk.synced.discard(node)  # a number may come back
            self.disk.data[node] = b""
            self._names(path, (path, node, True))
        return file

    def fsync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if stat.S_ISDIR(status.st_mode):
            if path == self.root or self.root in path.parents:
                name = self._name(path)
                self.disk.sync_directory("" if name == "." else name)
        else:
            self.disk.data[status.st_ino] = path.read_bytes()
            self.power_fails()
            self.disk.synced.add(status.st_ino)
        self.power_fails()

    def link(self, source: object, target: object) -> None:
        self._calls["link"](source, target)
        self._names(target, (target, self._written(target), True))

    def rename(self, source: object, target: object) -> None:
        self._calls["rename"](source, target)
        self._names(target, (source, None, False), (target, self._written(target), True))

    def _written(self, path: object) -> int:
        """The inode; its data counts as written, synced or not."""
        found = Path(os.fspath(path))
        node = found.stat().st_ino
        self.disk.data[node] = found.read_bytes()
        return node

    def unlink(self, path: object) -> None:
        self._calls["unlink"](path)
        self._names(path, (path, None, False))

    def mkdir(self, path: object, *rest: object) -> None:
        self._calls["mkdir"](path, *rest)
        self._names(path, (path, None, True))


class Checker:
    """Builds each state once and starts a collector on it."""

    def __init__(self, scratch: Path, batch: Callable[..., Batch]) -> None:
        self.promised: dict[Name, set[bytes]] = {}
        self.records: dict[LogPartition, int] = {}
        self.tried = 0
        self._batch = batch
        self._scratch = scratch
        self._seen: set[int] = set()

    def after(self, disk: Disk) -> None:
        for tree in disk.states():
            promised = frozenset((name, *contents) for name, contents in self.promised.items())
            key = hash((frozenset(tree.items()), promised, frozenset(self.records.items())))
            if key not in self._seen:
                self._seen.add(key)
                self._try(tree)

    def _try(self, tree: Mapping[Name, bytes | None]) -> None:
        self.tried += 1
        root = self._scratch / str(self.tried)
        for name in sorted(tree):
            content = tree[name]
            if content is None:
                (root / name).mkdir(parents=True)
            else:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(content)
        lost = [n for n, allowed in self.promised.items() if not allowed & {tree.get(n) or b""}]
        assert [] == lost, f"acknowledged, but lost with the power: {lost}; on the disk: {sorted(tree)}"
        self._go_on(open_log(root / "lineage"))

    def _go_on(self, log: Log) -> None:
        for partition, end in self.records.items():
            offsets = [entry.offset for found in log.segments(partition) for entry in log.read(found)]
            assert list(range(end)) == offsets[:end], f"acknowledged, but lost with the power: {offsets}"
        for partition in (P0, P1):
            end = log.recover(partition).next_offset
            log.append(partition, self._batch(partition, end, end + 2))
        report = verify(log)
        assert report.ok, report.problems
        assert [] == list(Path(log.uri, "raw").rglob(".*.tmp"))


@contextmanager
def recorded(tmp_path: Path, batch: Callable[..., Batch]) -> Iterator[tuple[Path, Recorder]]:
    """Where a log may be made, with the power failing after every call."""
    place = tmp_path / "disk"
    place.mkdir()
    checker = Checker(tmp_path / "found", batch)
    recorder = Recorder(place, checker)
    with pytest.MonkeyPatch.context() as patch:
        recorder.install(patch)
        yield place, recorder


def promise(recorder: Recorder, log: Log, partition: LogPartition, batch: Batch) -> str:
    """Append; from now on it must be there."""
    name = log.append(partition, batch).name
    recorder.promised[f"lineage/{name}"] = {log.store.read(name)}
    recorder.power_fails()
    return name


@pytest.fixture
def batch(batch: Callable[..., Batch]) -> Callable[..., Batch]:
    """The factory of records for either partition."""

    def make(partition: LogPartition, start: int, end: int) -> Batch:
        made = batch(start, end)
        replace = msgspec.structs.replace
        return replace(made, entries=[replace(e, partition=partition.partition) for e in made.entries])

    return make


def test_no_power_loss_costs_a_segment(tmp_path: Path, batch: Callable[..., Batch]) -> None:
    """After each call of a log's first days, in every state a disk may be in: nothing promised is lost."""
    with recorded(tmp_path, batch) as (place, recorder):
        log = open_log(place / "lineage")
        for start in (0, 2, 4):
            for partition in (P0, P1):
                log.recover(partition)
                promise(recorder, log, partition, batch(partition, start, start + 2))
        assert recorder.states > 50


def test_a_segment_is_replaced_or_not(tmp_path: Path, batch: Callable[..., Batch]) -> None:
    """While a segment gets other contents the power fails: it has the old or the new ones, never neither."""
    with recorded(tmp_path, batch) as (place, recorder):
        log = open_log(place / "lineage")
        names = [promise(recorder, log, P0, batch(P0, start, start + 2)) for start in (0, 2)]
        old = log.store.read(names[0])
        again = segments.encode(P0, batch(P0, 0, 2), log.header(names[0]).chain_start)[1]
        new = again if again != old else segments.encode(P0, batch(P0, 0, 2), "0" * 64)[1]
        recorder.promised[f"lineage/{names[0]}"].add(new)
        assert log.store.replace(names[0], old, new)
        recorder.promised[f"lineage/{names[0]}"].discard(old)
        promise(recorder, log, P0, batch(P0, 4, 6))


def test_a_rollup_costs_no_record(
    tmp_path: Path, batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While segments are rolled up the power fails: each record is there once, in one file or the other."""
    monkeypatch.setattr(rollup, "FEW", 2)
    with recorded(tmp_path, batch) as (place, recorder):
        log = open_log(place / "lineage")
        for start in range(0, 8, 2):
            log.append(P0, batch(P0, start, start + 2))
        recorder.records[P0] = 8
        with log.store.lease("raw") as lease:
            rollup.RollUp(open_log(place / "lineage"), P0, lease, lambda _: None).run()
        recorder.power_fails()
        assert 3 == verify(open_log(place / "lineage")).partitions[0].rolled_up


def test_a_repair_costs_no_evidence(tmp_path: Path, batch: Callable[..., Batch]) -> None:
    """While a segment is repaired the power fails: the damaged bytes are in its place or beside it."""
    with recorded(tmp_path, batch) as (place, recorder):
        log = open_log(place / "lineage")
        name = log.append(P0, batch(P0, 0, 2)).name
        promise(recorder, log, P0, batch(P0, 2, 4))
        old = log.store.read(name)
        evidence = keep(log.store, name, old)
        recorder.promised[f"lineage/{evidence}"] = {old}
        sound = log.header(name)
        told = segments.Repair("a test", sound.sha256)
        new = segments.encode(P0, batch(P0, 0, 2), sound.chain_start, repair=told, chain_end=sound.chain_end)[
            1
        ]
        assert log.store.replace(name, old, new)
        recorder.promised[f"lineage/{name}"] = {new}
        recorder.power_fails()


def test_a_torn_segment_is_set_aside_under_a_power_loss(tmp_path: Path, batch: Callable[..., Batch]) -> None:
    """Also while a torn end is being mended the power may fail."""
    with recorded(tmp_path, batch) as (place, recorder):
        log = open_log(place / "lineage")
        promise(recorder, log, P0, batch(P0, 0, 2))
        torn = place / "lineage" / log.append(P0, batch(P0, 2, 4)).name
        data = torn.read_bytes()[:-50]
        torn.write_bytes(data)
        recorder.disk.data[torn.stat().st_ino] = data
        again = open_log(place / "lineage")
        assert 2 == again.recover(P0).next_offset
        promise(recorder, again, P0, batch(P0, 2, 6))


def test_a_folder_that_another_process_made_is_not_trusted(
    tmp_path: Path, batch: Callable[..., Batch]
) -> None:
    """Its maker may have died before its name was synced: what is sealed in it must be there all the same."""
    with recorded(tmp_path, batch) as (place, recorder):
        (place / "lineage" / "raw" / P0.topic / P0.topic_id / "0").mkdir(parents=True)
        promise(recorder, open_log(place / "lineage"), P0, batch(P0, 0, 2))


def test_a_name_that_is_taken_is_durable_for_whoever_learns_it(
    tmp_path: Path, batch: Callable[..., Batch]
) -> None:
    """A segment whose name could not be synced is synced before a retry counts it as sealed."""
    with recorded(tmp_path, batch) as (place, recorder):
        log = open_log(place / "lineage")
        promise(recorder, log, P0, batch(P0, 0, 2))

        def fsync(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EIO, "Input/output error")
            recorder.fsync(descriptor)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(Unavailable):
                log.append(P0, batch(P0, 2, 4))
        promise(recorder, log, P0, batch(P0, 2, 4))


@pytest.mark.parametrize("what", ["files", "directories"])
def test_a_store_that_does_not_sync_is_found(
    tmp_path: Path, batch: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The check itself is checked: without one of the two kinds of fsync it finds a lost or torn segment."""

    def careless() -> None:
        with recorded(tmp_path, batch) as (place, recorder):

            def fsync(descriptor: int) -> None:
                if stat.S_ISDIR(os.fstat(descriptor).st_mode) != (what == "directories"):
                    recorder.fsync(descriptor)

            monkeypatch.setattr(os, "fsync", fsync)
            log = open_log(place / "lineage")
            for start in (0, 2):
                promise(recorder, log, P0, batch(P0, start, start + 2))

    with pytest.raises(AssertionError, match="lost with the power"):
        careless()

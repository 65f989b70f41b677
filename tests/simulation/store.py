"""The store of a world, and each process's way to it: every call can wait, fail, or succeed unheard."""

import contextlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator

from modeltrail_collector.errors import OwnershipLost, Unavailable
from simulation.process import Outcome, Process


class Media:
    """What outlives processes: a disk, whose names are lost with the power until they are synced, or objects.

    `late` holds puts that were reported as failed and are still under way, as S3 may do.
    """

    def __init__(self, *, disk: bool) -> None:
        self.disk = disk
        self.contents: dict[str, bytes] = {}
        """By name; only `put` changes it."""
        self.late: list[Callable[[], object]] = []
        self.leases: dict[str, Lease] = {}
        self.torn = False
        self._unsynced: dict[str, bytes | None] = {}
        self._folders: dict[str, list[str]] = {}

    def put(self, name: str, data: bytes | None) -> None:
        """A name has these contents now (None: it is gone)."""
        folder, _, last = name.rpartition("/")
        names = self._folders.setdefault(folder, [])
        if data is None:
            if self.contents.pop(name, None) is not None:
                del names[bisect_left(names, last)]
            return
        if name not in self.contents:
            insort(names, last)
        self.contents[name] = data

    def files(self, folder: str, after: str) -> list[str]:
        names = self._folders.get(folder, [])
        return names[bisect_right(names, after) :]

    def folders(self, folder: str) -> list[str]:
        inside = [path for path, names in self._folders.items() if names and path.startswith(f"{folder}/")]
        return sorted({path[len(folder) + 1 :].partition("/")[0] for path in inside})

    def write(self, name: str, data: bytes | None) -> None:
        """Give a name its contents (None: remove it); on a disk that lasts only once it is synced."""
        if self.disk:
            self._unsynced.setdefault(name, self.contents.get(name))
        self.put(name, data)

    def create(self, name: str, data: bytes) -> bool:
        if name in self.contents:
            return False
        self.write(name, data)
        return True

    def replace(self, name: str, expected: bytes, data: bytes) -> bool:
        if self.contents.get(name) != expected:
            return False
        self.write(name, data)
        return True

    def sync(self, name: str) -> None:
        """Sync the directory that a name lies in."""
        folder = name.rpartition("/")[0]
        for known in [known for known in self._unsynced if known.rpartition("/")[0] == folder]:
            del self._unsynced[known]

    def lose_power(self, pick: int) -> list[str]:
        """Of each name that was not synced: it stays, it goes back, or what was new is torn."""
        told = []
        for name, before in self._unsynced.items():
            pick, fate = divmod(pick, 3)
            now = self.contents.get(name)
            if fate == 0:
                continue
            if fate == 1 and before is None and now and name.startswith("raw/"):
                self.put(name, now[: pick % len(now)])
                self.torn = True
            else:
                self.put(name, before)
            told.append(name)
        self._unsynced.clear()
        return told

    def land(self) -> None:
        """The oldest late put arrives."""
        if self.late:
            self.late.pop(0)()

    def forget(self, process: Process) -> None:
        """A process died: the locks that it held are free, and on objects its term will end."""
        for name in [name for name, lease in self.leases.items() if lease.process is process]:
            del self.leases[name]


class Lease:
    """See `log.store.Lease`: who lost it learns that from `check`."""

    def __init__(self, media: Media, name: str, process: Process | None) -> None:
        self.process = process
        self._media = media
        self._name = name

    def check(self) -> None:
        if self._media.leases.get(self._name) is not self:
            raise OwnershipLost(f"the lease {self._name} was taken over")


class ProcessStore:
    """See `log.store.Store`: the media as one process meets them.

    Without a process no call waits or fails: that is how the oracle looks, and how the suite of all stores
    (tests/contracts) holds this one to their contract.
    """

    def __init__(self, media: Media, process: Process | None = None) -> None:
        self.media = media
        self.process = process

    @property
    def uri(self) -> str:
        return "memory://world"

    def _ask(self, what: str) -> Outcome:
        return Outcome.OK if self.process is None else self.process.pause(what)

    def _write(self, what: str, name: str, change: Callable[[], bool]) -> bool:
        outcome = self._ask(f"{what} {name}")
        if outcome is Outcome.LATE and not self.media.disk:
            self.media.late.append(change)
        elif outcome is not Outcome.REFUSED and outcome is not Outcome.LATE:
            done = change()
            if self.media.disk and done:
                if self._ask(f"sync {name}") is not Outcome.OK:
                    raise Unavailable(f"cannot sync {name}: a fault of the world")
                self.media.sync(name)
            if outcome is Outcome.AGAIN and not self.media.disk:
                return change()
            if outcome is not Outcome.UNKNOWN:
                return done
        raise Unavailable(f"cannot {what} {name}: a fault of the world")

    def _look(self, what: str, name: str) -> None:
        if self.process is not None and self.process.pause(f"{what} {name}") is not Outcome.OK:
            raise Unavailable(f"cannot {what} {name}: a fault of the world")

    def create(self, name: str, data: bytes) -> bool:
        return self._write("create", name, lambda: self.media.create(name, data))

    def replace(self, name: str, expected: bytes, data: bytes) -> bool:
        return self._write("replace", name, lambda: self.media.replace(name, expected, data))

    def remove(self, name: str) -> None:
        self._write("remove", name, lambda: self.media.write(name, None) is None)

    def read(self, name: str, length: int | None = None) -> bytes:
        self._look("read", name)
        if name not in self.media.contents:
            raise FileNotFoundError(name)
        return self.media.contents[name][:length]

    def files(self, folder: str, after: str = "") -> list[str]:
        self._look("list", folder)
        return self.media.files(folder, after)

    def folders(self, folder: str) -> list[str]:
        self._look("list", folder)
        return self.media.folders(folder)

    def set_aside(self, name: str, expected: bytes) -> str | None:
        if not self.media.disk:
            return None
        self._look("set aside", name)
        if self.media.contents.get(name) != expected:
            return None
        taken = (f"{name}.bad-{number:08}" for number in range(1 << 20))
        aside = next(found for found in taken if found not in self.media.contents)
        self.media.write(aside, expected)
        self.media.write(name, None)
        self.media.sync(name)
        return aside

    def clean(self, folder: str) -> int:
        self._look("clean", folder)
        self.media.sync(f"{folder}/")
        return 0

    @contextlib.contextmanager
    def lease(self, name: str) -> Iterator[Lease]:
        self._look("lease", name)
        while name in self.media.leases:
            self._look("wait for", name)
        held = self.media.leases[name] = Lease(self.media, name, self.process)
        try:
            yield held
        finally:
            if self.media.leases.get(name) is held:
                del self.media.leases[name]

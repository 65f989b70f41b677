"""What is added to the local chain and not sealed yet, with how far its sources are read."""

from modeltrail_collector import judge
from modeltrail_collector.log import Log
from modeltrail_collector.model import LOCAL, FileProgress, Record, Verdict
from modeltrail_collector.pump.builder import Builder, entry
from modeltrail_collector.pump.totals import Totals

SEGMENT_ROWS = 50_000
SEGMENT_BYTES = 64 << 20


class LocalWriter:
    """Gathers records behind `end`, where the local chain ends, and seals them when they are many.

    Whoever else seals into the chain meanwhile wins: then `add` and `seal` raise OwnershipLost, and all that
    is not sealed has to be looked for again.
    """

    def __init__(self, log: Log, end: int, totals: Totals) -> None:
        self._log = log
        self._totals = totals
        self._builder = Builder(LOCAL, end, now=0.0)
        self._progress: dict[tuple[str, str], FileProgress] = {}
        self._judge_id = judge.judge_id()

    @property
    def end(self) -> int:
        """The offset of the next record."""
        return self._builder.end

    def add(self, record: Record, verdict: Verdict, progress: FileProgress | None = None) -> None:
        """Take the next record; `progress` is how far its source is read with it, where it has one."""
        self._builder.add(entry(record, verdict, self._log.wall()))
        if progress is not None:
            self._progress[progress.path, progress.first_line_sha256] = progress
        if self._builder.bytes >= SEGMENT_BYTES or len(self._builder.entries) >= SEGMENT_ROWS:
            self.seal()

    def seal(self) -> None:
        """Seal what was added, if anything was."""
        if self._builder.is_empty:
            return
        batch = self._builder.batch(self._judge_id, tuple(self._progress.values()))
        segment = self._log.append(LOCAL, batch)
        self._totals.add_segment(segment, self._builder.entries)
        self._builder = Builder(LOCAL, batch.end, now=0.0)
        self._progress = {}

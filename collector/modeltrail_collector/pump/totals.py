"""What a collector has done so far."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from modeltrail_collector.judge import cause
from modeltrail_collector.log import Segment
from modeltrail_collector.model import Entry


class Totals(msgspec.Struct):
    """Sealed since the start: records by verdict, segments, and offsets that were gone before us.

    `rejected_by_code` counts each rejected record once, under the reason that it was rejected for. `letters`
    are the dead letters that their topic acknowledged, `letters_behind` the offsets that are sealed but not
    looked through for dead letters yet, `letters_failures` the attempts to publish that failed.
    """

    records: int = 0
    accepted: int = 0
    warned: int = 0
    rejected: int = 0
    segments: int = 0
    missing: int = 0
    rejected_by_code: Counter[str] = msgspec.field(default_factory=Counter)
    letters: int = 0
    letters_behind: int = 0
    letters_failures: int = 0

    def add_segment(self, segment: Segment, entries: Sequence[Entry]) -> None:
        """Count what a segment holds."""
        verdicts = Counter(entry.verdict for entry in entries)
        self.accepted += verdicts["accepted"]
        self.warned += verdicts["warned"]
        self.rejected += verdicts["rejected"]
        self.records += len(entries)
        self.segments += 1
        self.missing += sum(gap.next_offset - gap.first_offset for gap in segment.gaps)
        self.rejected_by_code.update(
            cause(entry.reasons).code for entry in entries if entry.verdict == "rejected"
        )

    def add(self, other: "Totals") -> None:
        """Add another collector's."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

"""What a sender is told when something is not taken."""

from collections.abc import Mapping, Sequence

from modeltrail_collector.model import Reason


class Refusal(Exception):  # noqa: N818  named after what happened
    """An answer that is no success.

    Args:
        status: Of HTTP.
        error: A sentence.
        reasons: The judge's, with the path of each.
        kept: Whether the log has the event all the same, as one that is rejected.
        headers: What the answer needs beside its body.
    """

    def __init__(
        self,
        status: int,
        error: str,
        *,
        reasons: Sequence[Reason] = (),
        kept: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.reasons = reasons
        self.kept = kept
        self.headers = headers

    @property
    def why(self) -> str:
        """All of it in one line."""
        told = "; ".join(f"{reason.path}: {reason.message}" for reason in self.reasons)
        return f"{self.error}: {told}" if told else self.error

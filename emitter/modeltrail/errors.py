"""Every error modeltrail raises on the emitter's side.

::

    LineageError                 base; never reaches the host program unless strict
    ├── ConfigError              a setting that cannot be used          (exit 2)
    ├── MissingExtra             a package that is not installed        (exit 2)
    ├── EncodingError            an event that cannot be written down
    │   └── EventTooLarge        over `max_event_bytes`; it is spooled, not dropped
    └── DeliveryError            the transport did not take the event   (exit 4)
        └── DeliveryTimeout      no answer within the bounded wait

`exit_code` is what the command line ends with when the error reaches it.
"""

from typing import ClassVar


class LineageError(Exception):
    """Base of all errors of the emitter."""

    exit_code: ClassVar[int] = 70


class ConfigError(LineageError):
    """A setting that cannot be used; the message names it, the value seen and what to write."""

    exit_code: ClassVar[int] = 2


class MissingExtra(LineageError, ImportError):  # noqa: N818  named after what happened, as ImportError's kin are
    """A package that a feature needs is not installed; the message holds the pip line."""

    exit_code: ClassVar[int] = 2


class EncodingError(LineageError):
    """An event that cannot be written as JSON; the message ends in the path of the value."""


class EventTooLarge(EncodingError):  # noqa: N818
    """An event over the size limit."""


class DeliveryError(LineageError):
    """The transport did not take an event."""

    exit_code: ClassVar[int] = 4


class DeliveryTimeout(DeliveryError):  # noqa: N818
    """The transport did not answer within the bounded wait."""

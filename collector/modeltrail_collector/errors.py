"""Every error the collector raises.

Bad data is never an error: it is a record with verdict `rejected`. What is left:

::

    CollectorError
    ├── ConfigError        a setting or argument that cannot be used                 (exit 2)
    ├── NotFound           the thing asked for is not in the log                     (exit 1)
    ├── NotVerified        the log is not what was sealed                            (exit 1)
    ├── LogFormatError     the log was written by a newer modeltrail                 (exit 2)
    ├── Unavailable        Kafka, the store, a backend cannot be reached; try again  (exit 4)
    └── OwnershipLost      another collector sealed these offsets; drop and seek

A broken invariant is an AssertionError and ends with exit 70: our bug.
"""

from typing import ClassVar


class CollectorError(Exception):
    """Base of all errors of the collector; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 70


class ConfigError(CollectorError):
    """A setting or argument that cannot be used; names it, the value seen and what to write."""

    exit_code: ClassVar[int] = 2


class NotFound(CollectorError):  # noqa: N818  named after what happened
    """The thing asked for is not in the log; names the nearest known ones."""

    exit_code: ClassVar[int] = 1


class NotVerified(CollectorError):  # noqa: N818
    """The log is not what was sealed: an edit, a removal, a reorder, a rollback or a torn file."""

    exit_code: ClassVar[int] = 1


class LogFormatError(CollectorError):
    """The log was written by a newer modeltrail than this one."""

    exit_code: ClassVar[int] = 2


class Unavailable(CollectorError):  # noqa: N818
    """Kafka, the store or a backend cannot be reached; a retry may help."""

    exit_code: ClassVar[int] = 4


class OwnershipLost(CollectorError):  # noqa: N818
    """Another collector has already sealed these offsets: drop the buffer, seek to the log's end."""

    exit_code: ClassVar[int] = 4

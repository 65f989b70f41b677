"""The version, once: looking it up in the installed distribution would cost a process 50 ms."""

from typing import Final

__version__: Final = "0.1.0"

PRODUCER: Final = f"https://github.com/modeltrail/modeltrail/tree/{__version__}"
"""The `_producer` of every facet that modeltrail makes, and the `producer` of its events."""

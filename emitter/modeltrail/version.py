"""The version, once: looking it up in the installed distribution would cost a process 50 ms."""

from typing import Final

__version__: Final = "0.1.0"

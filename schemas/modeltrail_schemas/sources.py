"""Which files are code by their name: they are told first where not all can be, and compared as code."""

from typing import Final

SOURCE_SUFFIXES: Final = frozenset({
    ".py", ".pyx", ".ipynb", ".sql", ".r", ".jl", ".scala", ".java", ".c", ".cc", ".cpp", ".h", ".cu", ".rs",
    ".go", ".sh", ".toml", ".yaml", ".yml", ".cfg", ".ini", ".json",
})  # fmt: skip
"""Source and configuration, in lower case; data and models above all are neither."""

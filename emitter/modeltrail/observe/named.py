"""Files that a program's own text names, as a configuration that it reads by `open`.

Nobody else tells of these. The one way to see each `open` is an audit hook, which cannot be taken off again
and slows all that Python audits, `id` ten times and `copy.deepcopy` 2.6 times (measured with CPython 3.11):
more than a guest may cost. A name that the program puts together is not found here.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from modeltrail_schemas.sources import SOURCE_SUFFIXES

FILES: Final = 50
TEXT_BYTES: Final = 1 << 20
"""A longer text is not searched."""
_STARTED: Final = time.time_ns()
_ENDINGS: Final = "|".join(sorted(suffix[1:] for suffix in SOURCE_SUFFIXES))
_QUOTED: Final = re.compile(rf"""["']([^"'\\\n]{{1,200}}\.(?:{_ENDINGS}))\\?["']""", re.IGNORECASE)


def files(texts: Iterable[Path], arguments: Sequence[str], folders: Iterable[Path]) -> dict[str, str]:
    """Files that these texts or arguments name, by their real path, as they are named; 50 at most.

    Their names are those of source or configuration, and relative to one of `folders` or to the text's own.
    """
    places = [*folders]
    found: dict[str, str] = {}
    for folder, name in _candidates(texts, arguments):
        for place in dict.fromkeys([*places, *([folder] if folder else [])]):
            path = os.path.realpath(place / name)
            if Path(path).is_file():
                found.setdefault(path, name)
                break
        if len(found) >= FILES:
            break
    return found


_seen: dict[str, int | None] = {}


def keep_in_mind(paths: Iterable[str]) -> None:
    """What is written from now on is a program's own work, and nothing that it was made of."""
    _seen.update((path, _written_at(path)) for path in paths)


def is_as_it_was(path: str) -> bool:
    """Whether a file has not been written since it was kept in mind, else since this process began."""
    at = _written_at(path)
    return at is not None and (at == _seen[path] if path in _seen else at < _STARTED)


def _written_at(path: str) -> int | None:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return None


def _candidates(texts: Iterable[Path], arguments: Sequence[str]) -> Iterator[tuple[Path | None, str]]:
    for word in arguments:
        value = word.rpartition("=")[2]
        if Path(value).suffix.lower() in SOURCE_SUFFIXES:
            yield None, value
    for text in texts:
        try:
            seen = text.stat()
            names = _names(text, seen.st_mtime_ns) if seen.st_size <= TEXT_BYTES else ()
        except OSError:
            continue
        yield from ((text.parent, name) for name in names)


@lru_cache(maxsize=1024)
def _names(text: Path, _: int) -> tuple[str, ...]:
    """Of a text as it was written then: each fit outside of a run asks."""
    return tuple(dict.fromkeys(_QUOTED.findall(text.read_text(encoding="utf-8", errors="replace"))))

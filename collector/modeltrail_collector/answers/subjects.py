"""Which datasets held a person: by the indexes that the log's facets `modelTrail_subjects` name.

A facet comes from whoever can write to the topic, so that what it names is only ever compared with the digest
that it says, and with pseudonyms; nothing of a file is shown.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.errors import CollectorError, ConfigError, NotFound
from modeltrail_collector.log import open_log
from modeltrail_schemas import subjects

KEY: Final = "modelTrail_subjects"
_LARGEST: Final = subjects.MAX_SUBJECTS * subjects.BYTES
UNREAD: Final = "index"
"""The kind of a row that stands for an index which could not be looked into."""

_Problem = tuple[str, str]


class Held(msgspec.Struct, frozen=True):
    """The datasets that held a person, and a row of the answer for each index that cannot tell."""

    datasets: tuple[tuple[str, str, str, str], ...]
    unread: tuple[Row, ...]


def find(db: Database, subject: str, keys: Path | Sequence[Path]) -> Held:
    """The datasets (run_id, role, namespace, name) in whose index a person is.

    Raises:
        ConfigError: The subject or a key cannot be used.
        NotFound: No dataset of the log has an index.
    """
    wanted = _pseudonyms(subject, [keys] if isinstance(keys, Path) else keys)
    db.attach("facets")
    rows = db.rows(
        """SELECT DISTINCT run_id, scope, namespace, name, value FROM facets
        WHERE key = $key AND value IS NOT NULL AND scope IN ('input', 'output') ORDER BY ALL""",
        key=KEY,
    )
    if not rows:
        raise NotFound(
            f"No dataset in {db.log.uri} has an index of its subjects: "
            'record it with run.input(data, subjects="COLUMN")'
        )
    answers: dict[str, bool | str] = {}
    found, unread = [], []
    for row in rows:
        index = row["value"]
        if index not in answers:
            answers[index] = _look(_read_facet(index), wanted)
        answer = answers[index]
        if answer is True:
            found.append((row["run_id"], row["scope"], row["namespace"], row["name"]))
        elif answer:
            unread.append(_unread(row, answer))
    return Held(tuple(found), tuple(unread))


def _pseudonyms(subject: str, keys: Sequence[Path]) -> dict[str, bytes]:
    """What the person is called in the indexes, by the id of the key."""
    spelling = subjects.spelled(subject)
    if spelling is None:
        raise ConfigError("the subject is empty: give the value of the id column")
    if not keys:
        raise ConfigError("a subject is found by the key that its pseudonyms were made with: name its file")
    found = {}
    for path in keys:
        try:
            key = subjects.read_key(path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"the key of subjects cannot be used: {error}") from error
        found[subjects.key_id(key)] = subjects.pseudonym(key, spelling)
    return found


def _read_facet(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    index = value.get("index") if isinstance(value, dict) else None
    return index if isinstance(index, dict) else {}


def _look(index: Mapping[str, Any], wanted: Mapping[str, bytes]) -> bool | str:
    """Whether the person is in an index; a text where that cannot be told: why."""
    method, key_id = index.get("method"), index.get("keyId")
    if method != subjects.METHOD:
        return f"its method is {method!r}, not {subjects.METHOD!r}"
    if key_id not in wanted:
        return f"it was made with the key {key_id}, not with {', '.join(wanted)}"
    try:
        data = _read(str(index.get("uri")))
    except FileNotFoundError:
        return "it is missing"
    except (CollectorError, OSError, ValueError) as error:
        return f"it cannot be read: {error}"
    if subjects.sha256(data) != index.get("sha256"):
        return "it was altered: its SHA-256 is not the one that was recorded"
    if not subjects.is_index(data):
        return "it is no index"
    return subjects.holds(data, wanted[str(key_id)])


def _read(uri: str) -> bytes:
    """The file at a URI, no more of it than an index has."""
    folder, _, name = uri.rpartition("/")
    if not folder or not name:
        raise ValueError(f"{uri!r} is no place of a file")
    if uri.startswith(("/", "file:")):
        path = Path(unquote(urlsplit(uri).path))
        if not path.exists():
            raise FileNotFoundError(path)
        if not path.is_file():
            raise ValueError("it is no file")
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    return open_log(folder).store.read(name, _LARGEST + 1)


def _unread(row: Row, problem: str) -> Row:
    index = _read_facet(row["value"])
    return {
        "kind": UNREAD,
        **{name: row[name] for name in ("namespace", "name", "run_id")},
        "uri": index.get("uri"),
        "problem": problem,
    }

"""What a user calls a model or a dataset -> the one that is meant.

Tried in this order, and the first that fits anything decides: the full name, the registered name, a path on
this machine, a unique suffix at a `/`, the beginning of a fingerprint (six digits or more). After `@` stands
a version, an alias or the beginning of a version's digest; none means the newest.
"""

import difflib
from pathlib import Path
from typing import Final

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.errors import NotFound
from modeltrail_collector.tables.past import NOW

_VERSION_DIGITS: Final = 4

_BY_KEY: Final = 3
"""Up to this tier `mentions` knows a name by a key."""

_TIERS: Final = """CASE
    WHEN name = $text OR concat(namespace, '/', name) = $text OR concat(namespace, ':', name) = $text THEN 1
    WHEN {registered} = $text THEN 2
    WHEN namespace = 'file' AND name = $path THEN 3
    WHEN ends_with(name, '/' || $text) THEN 4
    WHEN length($text) >= 6 AND starts_with({digest}, $text) THEN 5 END"""

_BEST: Final = "WHERE tier IS NOT NULL QUALIFY tier = min(tier) OVER ()"


def model(db: Database, text: str) -> Row:
    """The row of table `models` that is meant by `NAME[@VERSION]`.

    Raises NotFound, with the nearest names, when there is none or more than one name fits.
    """
    for name, version in _readings(text):
        found = _versions(db, name)
        if version is not None:
            found = [row for row in found if _is_version(row, version)]
        if found:
            return _one_name(text, _newest(found))
    raise NotFound(_unknown_model(db, text))


def dataset(db: Database, text: str) -> Row:
    """(namespace, name, kind) of the dataset, model or endpoint that is meant. Raises NotFound as `model`."""
    tiers = _TIERS.format(registered="CASE how WHEN 'registered' THEN key END", digest="fingerprint")
    # The first three tiers are known by key; only where none fits all names are looked through.
    for table, called in (("near_mentions", keys(text)), ("mentions", None)):
        db.attach("mentions", keys=called, held=True)
        found = db.rows(
            f"""SELECT DISTINCT namespace, name, tier FROM (SELECT *, {tiers} AS tier FROM {table}
                WHERE how IN ('name', 'registered'))
            {_BEST} ORDER BY namespace, name""",  # noqa: S608
            text=text,
            path=_path(text),
        )
        if found and (called is None or found[0]["tier"] <= _BY_KEY):
            return _one_name(text, found)
    names = [row["name"] for row in db.rows("SELECT DISTINCT name FROM mentions WHERE how = 'name'")]
    raise NotFound(f"No dataset, model or endpoint is called {text!r}.{_nearest(db, text, names)}")


def keys(text: str) -> list[str]:
    """The names that `text` may be in full: alone, as a path, after a namespace."""
    cuts = (number for number, letter in enumerate(text) if letter in "/:")
    return [text, _path(text), *(text[cut + 1 :] for cut in cuts)]


def _readings(text: str) -> list[tuple[str, str | None]]:
    name, at, version = text.rpartition("@")
    return [(name, version), (text, None)] if at and name and version else [(text, None)]


def _versions(db: Database, name: str) -> list[Row]:
    tiers = _TIERS.format(registered="registered_name", digest="digest")
    db.attach("mentions", keys=keys(name))
    db.fill("called", ("key",), {(key,) for key in keys(name)})
    known = db.rows("""SELECT DISTINCT namespace, name FROM near_mentions SEMI JOIN called USING (key)
        WHERE how IN ('name', 'registered') AND kind = 'model'""")
    for table, models in (
        ("near_models", [(row["namespace"], row["name"]) for row in known]),
        ("models", None),
    ):
        db.attach("models", models=models, held=True)
        found = db.rows(
            f"""SELECT * EXCLUDE (bucket) FROM (SELECT *, {tiers} AS tier FROM {table})
            {_BEST} ORDER BY created_at DESC, version DESC""",  # noqa: S608
            text=name,
            path=_path(name),
        )
        if found and (models is None or found[0]["tier"] <= _BY_KEY):
            break
    return [{column: value for column, value in row.items() if column != "tier"} for row in found]


def _is_version(row: Row, version: str) -> bool:
    if version == "latest" or version == row["version"] or version in (row["aliases"] or ()):
        return True
    return len(version) >= _VERSION_DIGITS and (row["digest"] or "").startswith(version)


def _newest(found: list[Row]) -> list[Row]:
    """The newest version of each name, without names that only say where a registered one's file lies."""
    newest: dict[tuple[str, str], Row] = {}
    for row in found:
        newest.setdefault((row["namespace"], row["name"]), row)
    registered = {row["digest"] for row in newest.values() if row["registered_name"]}
    rows = [row for row in newest.values() if row["registered_name"] or row["digest"] not in registered]
    return rows or list(newest.values())


def _one_name(text: str, found: list[Row]) -> Row:
    if len(found) > 1:
        choices = ", ".join(sorted(f"{row['name']} ({row['namespace']})" for row in found)[:5])
        raise NotFound(f"{text!r} is not one: {choices}. Say more of its name.")
    return found[0]


def _unknown_model(db: Database, text: str) -> str:
    for name, version in _readings(text):
        if version and (known := _versions(db, name)):
            versions = ", ".join(dict.fromkeys(row["version"] for row in known[:8]))
            return f"{name} has no version {version!r}. It has: {versions}."
    db.attach("models", held=True)
    rows = db.rows("SELECT DISTINCT name, registered_name FROM models")
    names = [name for row in rows for name in (row["registered_name"], row["name"]) if name]
    return f"No model is called {text!r}.{_nearest(db, text.rpartition('@')[0] or text, names)}"


def _nearest(db: Database, text: str, names: list[str]) -> str:
    by_end = {name.rpartition("/")[2]: name for name in names} | {name: name for name in names}
    near = difflib.get_close_matches(text, list(by_end), n=3, cutoff=0.5)
    near = list(dict.fromkeys(by_end[name] for name in near)) or sorted(set(names))[:3]
    if near:
        return f" Nearest: {', '.join(near)}."
    return " The log holds none yet." if db.moment == NOW else " The log held none at the time you ask of."


def _path(text: str) -> str:
    try:
        return str(Path(text).resolve())
    except (OSError, ValueError, RuntimeError):
        return text

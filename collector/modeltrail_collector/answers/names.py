"""What a user calls a model or a dataset -> the one that is meant.

Tried in this order, and the first that fits anything decides: the full name, the registered name, a path on
this machine (as it is written, then where its symbolic links lead), another name that a producer told (the
file of a registered model, the file behind a link), a unique suffix at a `/`, the beginning of a fingerprint
(six digits or more), and of a model that is a file a unique suffix without the file's ending, where no
dataset is called so. After `@` stands a version, an alias, a stage or the beginning of a version's digest;
none means the newest, of those that their registry has deleted only where it has deleted all. A file that
no run wrote, and some read as a model, is the version whose bytes these read last.
"""

import difflib
import os
import re
from collections.abc import Mapping
from typing import Any, Final

from modeltrail_collector.answers import designs, registry
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.errors import NotFound
from modeltrail_collector.tables.past import NOW

_VERSION_DIGITS: Final = 4
_SHOWN: Final = 8
_LOOKED_AT: Final = 500

IS_CALLED: Final = (
    "(name = $text OR concat(namespace, '/', name) = $text OR concat(namespace, ':', name) = $text)"
)
"""SQL that is true where the columns namespace and name are what `text` says in full."""
_IS_PLACE: Final = f"({IS_CALLED} OR namespace = 'file' AND name IN ($path, $real_path))"
_IN_FULL: Final = f"""CASE
    WHEN {IS_CALLED} THEN 1
    WHEN registered_name = $text THEN 2
    WHEN namespace = 'file' AND name = $path THEN 3
    WHEN namespace = 'file' AND name = $real_path THEN 4 END"""
"""As `_tier`, of `models`."""
_BY_END: Final = "ends_with({name}, '/' || $text)"
_BY_DIGEST: Final = "starts_with({digest}, $text)"
"""The two halves of the order: `mentions` has a thing by key in full; for a part all are looked at."""
_BY_STEM: Final = r"""(registered_name IS NULL
    AND ends_with('/' || regexp_replace(name, '\.[A-Za-z][A-Za-z0-9]*$', ''), '/' || $text))"""
"""`churn` for churn.joblib: a registered model has a name, and a dot in it begins no ending."""
_DIGEST: Final = re.compile("[0-9a-f]{6,}")

_IDENTITY: Final = 5
_OF_MODELS: Final = (
    _IN_FULL,
    f"CASE WHEN {_BY_END.format(name='name')} THEN 6 END",
    f"CASE WHEN length($text) >= 6 AND {_BY_DIGEST.format(digest='digest')} THEN 7 END",
    f"CASE WHEN {_BY_STEM} THEN 8 END",
)

_IS_VERSION: Final = f"""($version IS NULL OR $version IN ('latest', version)
    OR list_contains(aliases, $version)
    OR (length($version) >= {_VERSION_DIGITS} AND starts_with(digest, $version)))"""

_NEWEST_FIRST: Final = """
    CASE WHEN version = $version THEN 1 WHEN list_contains(aliases, $version) THEN 2 ELSE 3 END,
    deleted_at IS NOT NULL, created_at DESC, version DESC"""
"""A version that is called so goes before one whose digest begins so."""

_Name = tuple[str, str]


def model(db: Database, text: str) -> Row:
    """The row of table `models` that is meant by `NAME[@VERSION]`.

    Raises NotFound, with the nearest names, when there is none or more than one name fits.
    """
    for in_full in (True, False):
        if found := find_model(db, text, in_full=in_full):
            return found
    for name, version in readings(text):
        read = {(row["namespace"], row["name"]) for row in _mentioned(db, name, registry.IS_READ)}
        if len(read) == 1 and (found := registry.of_copy(db, *read.pop(), version)):
            return registry.with_content(db, found)
    raise NotFound(unknown_model(db, text))


def models(db: Database, first: str, second: str) -> tuple[Row, Row]:
    """`model` of both; one that is called as the other but for its version is looked for among its versions.

    Raises NotFound as `model`.
    """
    found = model(db, first)
    (name, _), (again, version) = readings(first)[0], readings(second)[0]
    if name == again and version not in {None, "latest"}:
        for other in _newest(db, [(found["namespace"], found["name"])], name, version):
            return found, registry.with_content(db, other)
    return found, model(db, second)


def dataset(db: Database, text: str) -> Row:
    """(namespace, name, kind) of the dataset, model or endpoint that is meant. Raises NotFound as `model`."""
    for in_full in (True, False):
        if found := find_dataset(db, text, in_full=in_full):
            return found
    raise NotFound(unknown_dataset(db, text))


def find_model(db: Database, text: str, *, in_full: bool) -> Row | None:
    """`model`, where it is called so in full, or else by the other ways, which look at all models; or None.

    Raises NotFound when more than one name fits.
    """
    for name, version in readings(text):
        models, files = _called(db, name)
        if not in_full:  # a name that is known, and lacks this version, is no end of another
            models = [] if models else _like(db, name)
        found = _newest(db, models, name, version)
        if in_full and not models:
            found = _lying_there(db, files, version)
        if found:
            return registry.with_content(db, one_name(text, found))
    return None


def find_dataset(db: Database, text: str, *, in_full: bool) -> Row | None:
    """`dataset`, as `find_model` finds one."""
    if not in_full:
        by_part = _ending(db, text) or _of_digest(db, text)
        return one_name(text, by_part) if by_part else None
    called: dict[_Name, set[str]] = {}
    for row in _mentioned(db, text):
        is_file = row["how"] == "identity" and row["kind"] != "model"
        namespace, name = ("key_namespace", "key") if is_file else ("namespace", "name")
        called.setdefault((row[namespace], row[name]), set()).update({row["kind"]} - {None})
    found = [
        {"namespace": namespace, "name": name, "kind": max(kinds, default=None)}
        for (namespace, name), kinds in called.items()
    ]
    return one_name(text, found) if found else None


def _ending(db: Database, text: str) -> list[Row]:
    """What the end of its name is called so."""
    _keep_names(db)
    query = f"""SELECT namespace, name, max(kind) AS kind FROM named
        WHERE {_BY_END.format(name="name")} GROUP BY ALL"""  # noqa: S608
    return db.rows(query, text=text)


def _keep_names(db: Database) -> None:
    """Make view `named`: the names of all datasets, models and endpoints."""
    query = "SELECT DISTINCT key_namespace AS namespace, key AS name, kind FROM mentions WHERE how = 'name'"
    db.keep("named", "mentions", query)


def keep_versions(db: Database) -> None:
    """Make view `versions`: of all model versions what tells them from each other, and how old they are."""
    columns = "namespace, name, version, digest, registered_name, created_at, run_id"
    db.keep("versions", "models", f"SELECT {columns} FROM models")  # noqa: S608


def _of_digest(db: Database, text: str) -> list[Row]:
    if not _DIGEST.fullmatch(text):
        return []
    db.attach("mentions")
    query = f"""SELECT namespace, name, max(kind) AS kind FROM mentions
        WHERE how = 'name' AND {_BY_DIGEST.format(digest="fingerprint")} GROUP BY ALL"""  # noqa: S608
    return db.rows(query, text=text)


def _mentioned(db: Database, text: str, where: str = "true") -> list[Row]:
    """What runs tell of what is called so in full, by the first way that fits anything.

    With the digest of a model whose file is called so.
    """
    found = db.read(
        "mentions",
        """DISTINCT namespace, name, kind, how, key_namespace, key,
            CASE WHEN how = 'identity' AND kind = 'model' THEN fingerprint END AS digest""",
        keys=keys(text),
        where=f"how IN ('name', 'registered', 'identity') AND {where}",
    )
    # To tell it in Python costs less than to plan it: the rows are few, the cases many.
    spelled = _spellings(text)
    tiers = [(tier, row) for row in found if (tier := _tier(row, **spelled)) is not None]
    first = min((tier for tier, _ in tiers), default=None)
    return [row for tier, row in tiers if tier == first]


def _tier(row: Row, text: str, path: str, real_path: str) -> int | None:
    """By which way a row of `mentions` is called so in full; None: by none."""
    is_other = row["how"] == "identity"
    namespace, name = (row["key_namespace"], row["key"]) if is_other else (row["namespace"], row["name"])
    ways = (
        text in {name, f"{namespace}/{name}", f"{namespace}:{name}"},
        row["how"] == "registered" and row["key"] == text,
        namespace == "file" and name == path,
        namespace == "file" and name == real_path,
    )
    if is_other:
        return _IDENTITY if any(ways) else None
    return next((tier for tier, fits in enumerate(ways, 1) if fits), None)


def keys(text: str) -> list[str]:
    """The names that `text` may be in full: alone, as a path, after a namespace."""
    cuts = (number for number, letter in enumerate(text) if letter in "/:")
    return [*_spellings(text).values(), *(text[cut + 1 :] for cut in cuts)]


def readings(text: str) -> list[tuple[str, str | None]]:
    """A name and a version, each of which may hold an `@`: cut at the last, the first, others; or a name."""
    cuts = [number for number, letter in enumerate(text) if letter == "@" and 0 < number < len(text) - 1]
    return [
        *((text[:cut], text[cut + 1 :]) for cut in dict.fromkeys(cuts[-1:] + cuts[:1] + cuts[::-1])),
        (text, None),
    ]


def _called(db: Database, text: str) -> tuple[list[_Name], dict[_Name, set[str]]]:
    """The models that are called so in full; or else those whose file is, with the digests that lay there."""
    found = _mentioned(db, text, "kind = 'model'")
    called: dict[_Name, set[str]] = {}
    for row in found:
        called.setdefault((row["namespace"], row["name"]), set()).update({row["digest"]} - {None})
    is_file = any(row["how"] == "identity" for row in found)
    return ([], called) if is_file else (list(called), {})


def _lying_there(db: Database, files: Mapping[_Name, set[str]], version: str | None) -> list[Row]:
    """Of each of these models the newest version that lay there, by its digest where that was told."""
    found: dict[_Name, Row] = {}
    for row in db.read(
        "models",
        "* EXCLUDE (bucket)",
        models=files.keys(),
        where=_IS_VERSION,
        then=f"ORDER BY {_NEWEST_FIRST}",
        version=version,
    ):
        name = (row["namespace"], row["name"])
        if name in files and (not files[name] or row["digest"] in files[name]):
            found.setdefault(name, row)
    return list(found.values())


def _like(db: Database, text: str) -> list[_Name]:
    """The models that are meant by an end of their name, the beginning of a digest or their file's stem."""
    keep_versions(db)
    wanted = [_BY_END.format(name="name")]
    if _DIGEST.fullmatch(text):
        wanted.append(_BY_DIGEST.format(digest="digest"))
    if not _ending(db, text):
        wanted.append(_BY_STEM)
    for where in wanted:
        found = db.rows(f"SELECT DISTINCT namespace, name FROM versions WHERE {where}", text=text)  # noqa: S608
        if found:
            return [(row["namespace"], row["name"]) for row in found]
    return []


def _newest(db: Database, models: list[_Name], text: str, version: str | None) -> list[Row]:
    """The version of each written last, or the one that is meant; of models called by a digest that one.

    A name that only says where a registered one's file lies is left out.
    """
    found = db.read(
        "models",
        "* EXCLUDE (bucket)",
        models=models,
        where=f"{_IS_VERSION} AND coalesce({', '.join(_OF_MODELS)}) IS NOT NULL",
        then=f"""QUALIFY row_number() OVER (PARTITION BY namespace, name ORDER BY {_NEWEST_FIRST}) = 1
            ORDER BY {_NEWEST_FIRST}""",
        version=version,
        **_spellings(text),
    )
    rows = [row for row in found if (row["namespace"], row["name"]) in set(models)]
    if version in {None, "latest"}:
        rows = [
            row if (row["digest"] or "").startswith(text) else written_last(db, row) or row for row in rows
        ]
    registered = {row["digest"] for row in rows if row["registered_name"]}
    return [row for row in rows if row["registered_name"] or row["digest"] not in registered] or rows


def written_last(db: Database, model: Row, *, before: bool = False) -> Row | None:
    """The version of this name that was written last, also where its bytes were there before; or None.

    With `before` the one that was written last before this one was. Of a registered model the registry says
    which version is the newest.
    """
    if model["registered_name"] is not None:
        return None
    name = {"namespace": model["namespace"], "name": model["name"]}
    earlier = """QUALIFY fingerprint <> $digest
        AND wrote_at <= max(CASE WHEN fingerprint = $digest THEN wrote_at END) OVER ()"""
    written = db.read(
        "mentions",
        "fingerprint",
        keys=[model["name"]],
        where="""how = 'name' AND role = 'output' AND kind = 'model' AND fingerprint IS NOT NULL
            AND (namespace, name) = ($namespace, $name)""",
        then=f"{earlier if before else ''} ORDER BY wrote_at DESC, run_id DESC LIMIT 1",
        **name,
        **({"digest": model["digest"]} if before else {}),
    )
    if not written:
        return None
    found = db.read(
        "models",
        "* EXCLUDE (bucket)",
        models=[(model["namespace"], model["name"])],
        where="(namespace, name, digest) = ($namespace, $name, $digest) AND registered_name IS NULL",
        then="ORDER BY created_at DESC, version DESC LIMIT 1",
        digest=written[0]["fingerprint"],
        **name,
    )
    return found[0] if found else None


def one_name(text: str, found: list[Row]) -> Row:
    """The only one of what was found; raises NotFound where there are more."""
    if len(found) > 1:
        choices = ", ".join(sorted(f"{row['name']} ({row['namespace']})" for row in found)[:5])
        raise NotFound(f"{text!r} is not one: {choices}. Say more of its name.")
    return found[0]


def unknown_model(db: Database, text: str) -> str:
    """What to say where no model is called so."""
    for name, version in readings(text):
        models, files = _called(db, name)
        if version and (models := models or list(files) or _like(db, name)):
            known = db.read("models", "version", models=models, then="ORDER BY created_at DESC")
            if versions := list(dict.fromkeys(row["version"] for row in known))[:_SHOWN]:
                return f"{name} has no version {version!r}. It has: {', '.join(versions)}."
    keep_versions(db)
    named = "SELECT name FROM versions UNION SELECT registered_name FROM versions"
    return f"No model is called {text!r}.{nearest(db, text.rpartition('@')[0] or text, named)}"


def unknown_dataset(db: Database, text: str) -> str:
    """What to say where nothing is called so."""
    _keep_names(db)
    near = nearest(db, text, "SELECT DISTINCT name FROM named")
    return f"No dataset, model or endpoint is called {text!r}.{designs.naming(db, text)}{near}"


def unknown_served(db: Database, text: str) -> str:
    """What to say where neither a model nor an endpoint is called so; `deployments` is attached."""
    if "@" in text:
        return unknown_model(db, text)
    _keep_names(db)
    named = (
        "SELECT name FROM named WHERE kind IN ('model', 'endpoint') UNION SELECT endpoint FROM deployments"
    )
    return f"No model or endpoint is called {text!r}.{nearest(db, text, named)}"


def nearest(db: Database, text: str, named: str) -> str:
    """The nearest of what a SELECT names: of hundreds of thousands the database leaves a few to look at."""
    rows = db.rows(
        f"""SELECT name FROM ({named}) WHERE name IS NOT NULL ORDER BY greatest(
            jaro_winkler_similarity(name, $text), jaro_winkler_similarity(split_part(name, '/', -1), $text)
        ) DESC, name LIMIT {_LOOKED_AT}""",  # noqa: S608  ours
        text=text,
    )
    names = [row["name"] for row in rows]
    by_end = {name.rpartition("/")[2]: name for name in names} | {name: name for name in names}
    near = difflib.get_close_matches(text, list(by_end), n=3, cutoff=0.5)
    near = list(dict.fromkeys(by_end[name] for name in near)) or sorted(set(names))[:3]
    if near:
        return f" Nearest: {', '.join(near)}."
    return " The log holds none yet." if db.moment == NOW else " The log held none at the time you ask of."


def _spellings(text: str) -> dict[str, Any]:
    """A text, and what it is as a path on this machine: as it is written, and where symbolic links lead."""
    try:
        paths = os.path.abspath(text), os.path.realpath(text)  # noqa: PTH100
    except (OSError, ValueError):
        paths = text, text
    return {"text": text, "path": paths[0], "real_path": paths[1]}

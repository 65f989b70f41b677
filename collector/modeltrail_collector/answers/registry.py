"""What happened to model versions in their registry: who registered, promoted and deleted them, and when."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.tables.flatten import event_time

_TOLD: Final = ("action", "aliases", "stage", "previous", "actor", "approval", "capture")
_SOURCE: Final = ("topic", "topic_id", "partition", "offset")
_IDENTITY: Final = ("namespace", "name", "version")
_WHO: Final = ("at", "actor", "run_id")
_THERE: Final = (None, "register", "delete")
"""The actions that say whether the registry has a version; those that move an alias come late, or not."""
_MOST_COPIES: Final = 20
_OF_CONTENT: Final = (
    "run_id", "digest", "digest_algorithm", "uri", "size_bytes", "step",
    "algorithm", "framework", "framework_version", "task",
)  # fmt: skip
"""What a row of `models` says of the bytes."""
IS_READ: Final = "kind = 'model' AND role = 'input'"
"""SQL that is true of rows of `mentions` where a run read a model."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)

_Version = tuple[str, str, str]


def histories(db: Database, models: list[Row]) -> list[list[Row]]:
    """Of each version (row of `models`) what was said to happen to it in its registry, oldest first.

    Each with when, by whom, in which run and record, and what aliases and stage it then had. Of several
    bytes that had the same version it is told of those that were the last to be registered before.
    """
    digests = {
        (one["run_id"], one["namespace"], one["name"]): one["fingerprint"] for one in _runs(db, models)
    }
    rows = db.read(
        "facets",
        'run_id, namespace, name, "value", happened_at, topic, topic_id, "partition", "offset"',
        runs={run_id for run_id, *_ in digests},
        where="key = 'modelTrail_registration' AND scope = 'output' AND value IS NOT NULL",
        then="""ORDER BY coalesce(try_cast("value" ->> '$.at' AS TIMESTAMPTZ), happened_at),
            happened_at, topic, topic_id, "partition", "offset" ASC""",
    )
    said: dict[_Version, list[tuple[Row, str | None]]] = defaultdict(list)
    for row in rows:
        value, name = json.loads(row["value"]), (row["namespace"], row["name"])
        if isinstance(value, dict):
            told = said[(*name, str(value.get("version")))]
            told.append((_happened(row, value), digests.get((row["run_id"], *name))))
    return [[*_of_bytes(said[_registered(model)], model["digest"])] for model in models]


def registering(db: Database, runs: Collection[str]) -> set[str]:
    """Of these runs those that registered what they put out, and are not known to have made it.

    They trained nothing, and wrote no model, as they say themselves or since they read no data either.
    """
    # Most trained: that they did their keys say, without a look at what lies behind them.
    registered = db.read(
        "facets",
        "run_id",
        runs=runs,
        where="key IN ('modelTrail_training', 'modelTrail_registration') AND value IS NOT NULL",
        then="GROUP BY run_id HAVING NOT bool_or(key = 'modelTrail_training')",
    )
    found = {row["run_id"] for row in registered}
    said = db.read(
        "facets",
        "run_id, bool_or(coalesce(value ->> '$.written', '') <> 'false') AS wrote",
        runs=found,
        where="key = 'modelTrail_modelArtifact' AND value IS NOT NULL",
        then="GROUP BY run_id",
    )
    silent = found - {row["run_id"] for row in said}
    read = db.read("run_datasets", "DISTINCT run_id", runs=silent, where="role = 'input' AND kind <> 'model'")
    return found - {row["run_id"] for row in (*(one for one in said if one["wrote"]), *read)}


def other_bytes(db: Database, model: Row, version: str) -> list[str]:
    """What the versions are called that were registered under this one too, and are other bytes."""
    name = {column: model[column] for column in ("namespace", "name")}
    found = db.read(
        "models",
        "version",
        models=[(name["namespace"], name["name"])],
        where="""(namespace, name) = ($namespace, $name) AND version <> $own
            AND version IN ($version, concat($version, '+', digest[:12]))""",
        then="ORDER BY created_at, version",
        version=version,
        own=model["version"],
        **name,
    )
    return [row["version"] for row in found]


def of_copy(db: Database, namespace: str, name: str, version: str | None = None) -> Row | None:
    """The version whose bytes were read last by the name of a file that no run wrote: of a copy; or None.

    A `version` is the beginning of the digest that is meant. Of several names that a registry has is first.
    """
    read = db.read(
        "mentions",
        "fingerprint",
        keys=[name],
        where=f"""{IS_READ} AND how = 'name' AND (namespace, name) = ($namespace, $name)
            AND fingerprint IS NOT NULL AND ($version IS NULL
                OR (length($version) >= 4 AND starts_with(fingerprint, $version)))""",
        then="ORDER BY last_event_at DESC, run_id DESC LIMIT 1",
        namespace=namespace,
        name=name,
        version=version,
    )
    digests = [row["fingerprint"] for row in read]
    where = "how = 'digest' AND kind = 'model' AND role = 'output'"
    alike = db.read("mentions", "DISTINCT namespace, name", keys=digests, where=where)
    found = db.read(
        "models",
        "* EXCLUDE (bucket)",
        models=[(row["namespace"], row["name"]) for row in alike],
        where="list_contains($digests, digest)",
        then="ORDER BY registered_name IS NULL, created_at, namespace, name, version LIMIT 1",
        digests=digests,
    )
    return found[0] if found else None


def with_content(db: Database, model: Row) -> Row:
    """A row of `models`; of a copy whose bytes nobody saw with what is known of the version that it is of.

    Whoever promotes `dev.churn@1` to `prod.churn` by a server has none of its files.
    """
    found = model
    for _ in range(_MOST_COPIES):  # a copy of a copy, in circles where somebody says so
        if found["digest"] is not None or (source := _copied(db, found)) is None:
            break
        found = source
    return model | {column: found[column] for column in _OF_CONTENT}


def _copied(db: Database, model: Row) -> Row | None:
    """The version, or else the logged model, that one was registered from by who made neither."""
    run_id = model["run_id"]
    if run_id != model["registered_run_id"]:
        return None
    where = "role = 'input' AND kind = 'model'"
    read = db.read("run_datasets", "namespace, name, version", runs=[run_id], where=where)
    if not read or not registering(db, [run_id]):
        return None
    rows = db.read(
        "models",
        "* EXCLUDE (bucket)",
        models=[(row["namespace"], row["name"]) for row in read],
        then="ORDER BY registered_name IS NULL, created_at",
    )
    named = {(row["namespace"], row["name"], row["version"]) for row in read}
    found = [
        row for row in rows if not named.isdisjoint({_registered(row), (row["namespace"], row["name"], None)})
    ]
    by_registry = [row for row in found if row["registered_name"] is not None] or found
    return by_registry[0] if len(by_registry) == 1 else None


def deletion(history: Iterable[Row]) -> Row | None:
    """What of a history says that the registry has the version no more; None if it has it."""
    last = [one for one in history if one["action"] in _THERE][-1:]
    return last[0] if last and last[0]["action"] == "delete" else None


def stage(history: Iterable[Row]) -> Any:
    """The stage that a version is in; who registers it once more says of that only what it is given."""
    said = [one["stage"] for one in history if one["stage"] or one["action"] != "register"]
    return said[-1] if said else None


def until_deleted(db: Database, model: Row) -> list[str]:
    """The aliases that a version had when it was deleted, and no other had got by then."""
    versions = db.read(
        "models",
        "* EXCLUDE (bucket)",
        models=[(model["namespace"], model["name"])],
        where="(namespace, name) = ($namespace, $name)",
        namespace=model["namespace"],
        name=model["name"],
    )
    acts: list[tuple[Row, str]] = [
        (one, version["version"])
        for version, history in zip(versions, histories(db, versions), strict=True)
        for one in history
    ]
    found: list[str] = []
    held: dict[str, str] = {}
    for one, version in sorted(acts, key=lambda act: event_time(act[0]["at"]) or _NEVER):
        given = one["aliases"] if isinstance(one["aliases"], list) else None
        if one["action"] == "delete":
            given = []
            found = sorted(alias for alias, of in held.items() if of == version == model["version"]) or found
        if given is not None:
            if one["action"] != "register":  # which says what it is given, not what it has
                held = {alias: of for alias, of in held.items() if of != version}
            held |= {str(alias): version for alias in given}
    return found


def fill_deleted(db: Database) -> None:
    """Make table `deleted`: of what may be in table `serving` that which a registry has no more."""
    rows = db.rows("""SELECT m.namespace, m.name, m.version, m.digest
        FROM models AS m JOIN serving AS s ON s.digest = m.digest WHERE m.registered_name IS NOT NULL
        UNION SELECT m.namespace, m.name, m.version, m.digest
        FROM models AS m JOIN serving AS s ON s.version = m.version AND s.name IN (m.name, m.registered_name)
        WHERE m.registered_name IS NOT NULL AND coalesce(s.namespace, m.namespace) = m.namespace""")
    gone = [
        (*(row[name] for name in _IDENTITY), *(last[name] and str(last[name]) for name in _WHO))
        for row, history in zip(rows, histories(db, rows), strict=True)
        if (last := deletion(history))
    ]
    db.fill("deleted", (*_IDENTITY, "deleted_at", "actor", "deleted_by"), gone)


def _runs(db: Database, models: list[Row]) -> list[Row]:
    """The runs that put these versions out, as far as can be said without what they say of a registry."""
    return db.read(
        "mentions",
        "DISTINCT run_id, key_namespace AS namespace, key AS name, fingerprint",
        keys={model["name"] for model in models},
        where="""how = 'name' AND role = 'output' AND kind = 'model' AND (version IS NULL
            OR list_contains($versions, version) OR list_contains($digests, fingerprint))""",
        versions=[_registered(model)[2] for model in models],
        digests=[model["digest"] for model in models if model["digest"] is not None],
    )


def _registered(model: Row) -> _Version:
    """A version as its registry calls it, which may say it of other bytes too."""
    version = model["version"].removesuffix(f"+{(model['digest'] or '')[:12]}")
    return model["namespace"], model["name"], version


def _happened(row: Row, value: dict[str, Any]) -> Row:
    at = value.get("at")
    return {
        "at": at if isinstance(at, str) else row["happened_at"],
        **{name: value.get(name) for name in _TOLD},
        "run_id": row["run_id"],
        "source": {name: row[name] for name in _SOURCE},
    }


def _of_bytes(said: list[tuple[Row, str | None]], digest: str | None) -> Iterator[Row]:
    last = None
    for row, content in said:
        last = content or last
        if None in (last, digest) or last == digest:
            yield row

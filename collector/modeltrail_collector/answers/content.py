"""What is known by its content alone: a model that was copied, and is called otherwise where it is read."""

from collections.abc import Collection

from modeltrail_collector.answers import sources
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.registry import registering


def put_out(db: Database, digests: Collection[str]) -> dict[str, list[Row]]:
    """Digest -> the runs that put out a model of just these bytes, oldest first.

    `at` is what the run calls it. Those that only found it somewhere, and registered or deployed it, are left
    out where others did not.
    """
    found: dict[str, list[Row]] = {}
    for row in db.read(
        "mentions",
        "DISTINCT key, namespace, name, run_id, started_at, wrote_at, kind, version, fingerprint",
        keys=digests,
        where="how = 'digest' AND kind = 'model' AND role = 'output'",
    ):
        at = {"how": "digest", "at": (row["namespace"], row["name"])}
        found.setdefault(row.pop("key"), []).append(row | at)
    several = {row["run_id"] for rows in found.values() if rows[1:] for row in rows}
    only_found = registering(db, several)
    for digest, rows in found.items():
        made = [row for row in rows if row["run_id"] not in only_found]
        found[digest] = sorted(made or rows, key=sources.age)
    return found

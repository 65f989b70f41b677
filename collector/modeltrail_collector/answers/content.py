"""What is known by its content alone: what was copied, and is called otherwise where it is read."""

from collections.abc import Collection, Iterable, Mapping

from modeltrail_collector.answers import sources
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.places import Name, Places, names_of
from modeltrail_collector.answers.registry import registering


def put_out(db: Database, digests: Collection[str]) -> dict[str, list[Row]]:
    """Digest -> what put out just these bytes, oldest first; `at` is what the run calls it."""
    found: dict[str, list[Row]] = {}
    for row in db.read(
        "mentions",
        "DISTINCT key, namespace, name, run_id, started_at, wrote_at, kind, version, fingerprint",
        keys=digests,
        where="how = 'digest' AND role = 'output'",
    ):
        at = {"how": "digest", "at": (row["namespace"], row["name"])}
        found.setdefault(row.pop("key"), []).append(row | at)
    return {digest: sorted(rows, key=sources.age) for digest, rows in found.items()}


def made(db: Database, written: Mapping[str, list[Row]], places: Places) -> dict[str, list[Row]]:
    """Of the runs that put out just these bytes (digest -> rows) those that made them, oldest first.

    Who read the same bytes and passed them on did not. Who only found a model somewhere, and registered or
    deployed it, is left out where others put it out too, and so is a run that failed: what it left was made
    again.
    """
    runs = {row["run_id"] for rows in written.values() for row in rows}
    several = {row["run_id"] for rows in written.values() if rows[1:] for row in rows}
    passed, only_found = _passed_on(places.of(runs)), registering(db, several)
    failed = {
        row["run_id"] for row in db.read("runs", "run_id", runs=several, where="state IN ('FAIL', 'ABORT')")
    }
    found = {}
    for digest, rows in written.items():
        anew = [row for row in rows if (row["run_id"], digest) not in passed]
        first = [row for row in anew if row["run_id"] not in only_found] or anew
        found[digest] = [row for row in first if row["run_id"] not in failed] or first
    return found


def _passed_on(rows: Iterable[Row]) -> set[tuple[str, str]]:
    """Run and digest: what a run put out that it made of the same bytes under another name."""
    rows = [row for row in rows if row["fingerprint"]]
    read = {
        (row["run_id"], row["fingerprint"], (row["namespace"], row["name"]))
        for row in rows
        if row["role"] == "input"
    }
    return {
        (row["run_id"], row["fingerprint"])
        for row in rows
        if row["role"] == "output"
        for name in names_of(row["made_of"])
        if name != (row["namespace"], row["name"]) and (row["run_id"], row["fingerprint"], name) in read
    }


def first_read(db: Database, digests: Collection[str]) -> dict[tuple[str, Name], str]:
    """Digest and name -> when the first run that read these bytes under that name had ended."""
    rows = db.read(
        "mentions",
        "key, namespace, name, min(wrote_at) AS read_at",
        keys=digests,
        where="how = 'digest' AND role = 'input'",
        then="GROUP BY ALL",
    )
    return {(row["key"], (row["namespace"], row["name"])): row["read_at"] for row in rows}

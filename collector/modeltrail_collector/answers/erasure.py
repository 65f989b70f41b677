"""What is to be done so that nothing is left of a dataset, or of a person."""

from typing import Any

from modeltrail_collector.answers.as_of import as_of
from modeltrail_collector.answers.database import Database, Row, opened
from modeltrail_collector.answers.impact import impact
from modeltrail_collector.answers.subjects import UNREAD
from modeltrail_collector.log import Log
from modeltrail_collector.tables.pairing import IN_MEMORY

_Name = tuple[str, str]


def erase_plan(of: Log | Database, text: str | None = None, **chosen: Any) -> list[Row]:
    """What is to be done so that nothing is left of a dataset or a person: an object for each.

    `action` is `withdraw` for endpoints where one of the versions is in force and for versions that answer
    nowhere, `retrain` for versions that do; `rewrite` for data that went into one of these, `delete` for
    other data, each name once, with its `contents`, the versions or else fingerprints of what is meant of it,
    the oldest first, and `replaced_by`, what was written there last, where that is none of these; `look` for
    an index of subjects that could not be looked into. What nobody recorded the contrary of is in the plan;
    `recorded` is false of what a run made that read a content of which nothing is recorded. Arguments and
    errors are those of `impact`.
    """
    with opened(of) as db:
        found = impact(db, text, **chosen)
        serving = {(row["deployment"], row["model_version"]) for row in as_of(db)}
        plan = _planned(found, serving)
        _tell_replaced(db, [row for row in plan if row["kind"] == "dataset"])
    return plan


def _planned(found: list[Row], serving: set[tuple[str, str]]) -> list[Row]:
    plan: list[Row] = [{**row, "action": "look"} for row in found if row["kind"] == UNREAD]
    used = set()
    for row in found:
        if row["kind"] == "endpoint" and (row["run_id"], row["version"]) in serving:
            plan.append({**row, "action": "withdraw"})
            used.add((row["model_namespace"], row["model_name"], row["version"]))
    for row in found:
        if row["kind"] == "model":
            known = {
                (namespace, name, row["version"])
                for namespace in (None, row["namespace"])  # a deployment may leave it out
                for name in (row["name"], row["registered_name"])
            }
            plan.append({**row, "action": "retrain" if known & used else "withdraw"})
    anew = {row["run_id"] for row in plan if row["action"] == "retrain"}
    unsure = {
        row["run_id"]
        for row in found
        if row["kind"] == "run" and not all(read["recorded"] for read in row["through"])
    }
    plan += _data(found, anew)
    return _once(
        [row | {"recorded": row["run_id"] not in unsure} if row["kind"] != UNREAD else row for row in plan]
    )


def _tell_replaced(db: Database, data: list[Row]) -> None:
    """Say of data at a path which content was written there last, where it is none of those that are meant.

    Who deletes what lies there would delete that.
    """
    wrote = db.read(
        "mentions",
        "DISTINCT namespace, name, run_id, wrote_at, coalesce(version, fingerprint) AS content",
        keys={row["name"] for row in data},
        where="how = 'name' AND role = 'output' AND use IS DISTINCT FROM 'drop' AND wrote_at IS NOT NULL",
        then="ORDER BY wrote_at, run_id",
    )
    last = {(row["namespace"], row["name"]): row for row in wrote}
    for row in data:
        now = last.get((row["namespace"], row["name"]), {})
        content = now.get("content")
        row["replaced_by"] = content if row["contents"] and content not in row["contents"] else None


def _once(plan: list[Row]) -> list[Row]:
    """Each version once, though several runs tell of it; sure where one of them is.

    A version that is the beginning of the digest is the bytes, as is none.
    """
    models = [row for row in plan if row["kind"] == "model"]
    first: dict[tuple[str, str, str], Row] = {}
    for row in models:
        version, content = row["version"] or "", row["fingerprint"] or ""
        which = (content if content.startswith(version) else version) or row["run_id"]
        kept = first.setdefault((row["namespace"], row["name"], which), row)
        kept["recorded"] |= row["recorded"]
    again = {id(row) for row in models} - {id(row) for row in first.values()}
    return [row for row in plan if id(row) not in again]


def _data(found: list[Row], anew: set[str]) -> list[Row]:
    """What is to be done with the data, where these runs are done anew, and those that make data for them."""
    readers: dict[_Name, set[str]] = {}
    for row in found:
        for read in row["through"] if row["kind"] == "run" else ():
            readers.setdefault((read["namespace"], read["name"]), set()).add(row["run_id"])
    data = [row for row in found if row["kind"] == "dataset" and row["namespace"] != IN_MEMORY]

    def is_needed(row: Row) -> bool:
        return not anew.isdisjoint(readers.get((row["namespace"], row["name"]), ()))

    while more := {row["run_id"] for row in data if is_needed(row)} - anew:
        anew |= more
    by_name: dict[_Name, Row] = {}
    for row in data:
        action, name = "rewrite" if is_needed(row) else "delete", (row["namespace"], row["name"])
        said = [content] if (content := row["version"] or row["fingerprint"]) else []
        first = by_name.get(name, {"contents": [], "since": row["since"]})
        contents = list(dict.fromkeys(first["contents"] + said))
        by_name[name] = {**row, "action": action, "contents": contents, "since": first["since"]}
    return list(by_name.values())

"""What is to be done so that nothing is left of a dataset, or of a person."""

from typing import Any

from modeltrail_collector.answers.as_of import as_of
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.answers.impact import impact
from modeltrail_collector.answers.subjects import UNREAD
from modeltrail_collector.log import Log


def erase_plan(of: Log | Database, text: str | None = None, **chosen: Any) -> list[Row]:
    """What is to be done so that nothing is left of a dataset or a person: an object for each.

    `action` is `withdraw` for endpoints where one of the versions is in force and for versions that answer
    nowhere, `retrain` for versions that do; `look` for an index of subjects that could not be looked into.
    Arguments and errors are those of `impact`.
    """
    found = impact(of, text, **chosen)
    serving = {(row["deployment"], row["model_version"]) for row in as_of(of)}
    plan: list[Row] = [{**row, "action": "look"} for row in found if row["kind"] == UNREAD]
    used = set()
    for row in found:
        if row["kind"] == "endpoint" and (row["run_id"], row["version"]) in serving:
            plan.append({**row, "action": "withdraw"})
            used.add((row["model_name"], row["version"]))
    for row in found:
        if row["kind"] == "model":
            known = {(row["name"], row["version"]), (row["registered_name"], row["version"])}
            plan.append({**row, "action": "retrain" if known & used else "withdraw"})
    return plan

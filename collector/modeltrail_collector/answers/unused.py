"""Data that a run read and nobody saw what for: it may have gone into what the run made."""

from collections.abc import Iterable

from modeltrail_collector.answers.database import Database, Row

Key = tuple[str, str, str]
"""Run id, namespace, name."""


def key_of(row: Row) -> Key:
    """Which input or output of which run a row is of."""
    return row["run_id"], row["namespace"], row["name"]


def unused(db: Database, placed: Iterable[Row]) -> dict[Key, list[Row]]:
    """Output -> data that its run read, nobody saw what for, and so may have gone into it.

    That is data of the role `other`: for the models of a run that from which no line leads to them (also
    through what the run wrote and read again), for the outputs of a run without models that from which none
    leads anywhere. `placed` are rows of `run_datasets`.
    """
    read: dict[str, list[Row]] = {}
    for row in placed:
        if (row["role"], row["kind"], row["use"]) == ("input", "dataset", "other"):
            read.setdefault(row["run_id"], []).append(row)
    into: dict[Key, set[Key]] = {}
    used: set[Key] = set()
    columns = "run_id, from_namespace, from_name, to_namespace, to_name"
    for edge in db.read("edges", columns, runs=read) if read else ():
        run_id, *source, to_namespace, to_name = edge.values()
        used.add((run_id, *source))
        into.setdefault((run_id, to_namespace, to_name), set()).add((run_id, *source))
    listed = {key_of(row) for row in placed if row["role"] == "input"}
    outputs = [row for row in placed if row["role"] == "output" and row["run_id"] in read]
    models = {key_of(row) for row in outputs if row["kind"] == "model"}
    making = {run_id for run_id, *_ in models}
    found: dict[Key, list[Row]] = {}
    for output in map(key_of, outputs):
        if output in models or output[0] not in making:
            known = models | (_before(output, into, listed) if output in models else {output, *used})
            found[output] = [row for row in read[output[0]] if key_of(row) not in known]
    return found


def _before(output: Key, into: dict[Key, set[Key]], through: set[Key]) -> set[Key]:
    """What lines lead from to an output, through these too."""
    found, waiting = {output}, [output]
    while waiting:
        fresh = into.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh & through
    return found

"""Which endpoint is meant by a name."""

from modeltrail_collector.answers.as_of import deployed
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.errors import NotFound


def deployments(db: Database, text: str) -> list[Row]:
    """The deployments to the endpoint that is called so by its name or URI, oldest first; none: no such one.

    `namespace` and `dataset` are its name among the datasets. Raises NotFound where several are called so.
    """
    names = db.rows("""SELECT run_id, o.namespace, o.name AS dataset FROM run_datasets AS o
        SEMI JOIN deployments USING (run_id) WHERE o.role = 'output' AND o.kind = 'endpoint'""")
    by_run = {row.pop("run_id"): row for row in names}
    nameless: Row = {"namespace": None, "dataset": None}
    rows = [row | by_run.get(row["run_id"], nameless) for row in deployed(db)]
    rows = [row for row in rows if text in _names(row)]
    places = sorted({str(row["uri"] or f"{row['platform']}:{row['endpoint']}") for row in rows})
    if len(places) > 1:
        raise NotFound(f"{text!r} is not one endpoint: {', '.join(places[:5])}. Say its URI.")
    return rows


def _names(row: Row) -> set[str | None]:
    namespace, name = row["namespace"], row["dataset"]
    names = {row["endpoint"], row["uri"], name}
    return names | ({f"{namespace}/{name}", f"{namespace}:{name}"} if name is not None else set())

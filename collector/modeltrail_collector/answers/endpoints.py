"""Which endpoint is meant by a name."""

from modeltrail_collector.answers import names
from modeltrail_collector.answers.as_of import deployed
from modeltrail_collector.answers.database import Database, Row
from modeltrail_collector.errors import NotFound


def deployments(db: Database, text: str) -> list[Row]:
    """The deployments in force at the endpoint that is called so by its name or URI, oldest first.

    None: there is no such endpoint. `namespace` and `dataset` are its name among the datasets. Raises
    NotFound where several are called so.
    """
    db.attach("deployments", held=True)
    keys = names.keys(text)
    db.attach("mentions", keys=keys)
    db.fill("called", ("key",), ((key,) for key in keys))
    db.connection.execute(
        """CREATE OR REPLACE TEMP TABLE endpoint AS
        SELECT run_id, namespace, name FROM near_mentions SEMI JOIN called USING (key)
        WHERE how = 'name' AND role = 'output' AND kind = 'endpoint'
            AND $text IN (name, concat(namespace, '/', name), concat(namespace, ':', name))""",
        {"text": text},
    )
    rows = deployed(db, "$text IN (endpoint, uri) OR run_id IN (SELECT run_id FROM endpoint)", text=text)
    places = sorted({str(row["uri"] or f"{row['platform']}:{row['endpoint']}") for row in rows})
    if len(places) > 1:
        raise NotFound(f"{text!r} is not one endpoint: {', '.join(places[:5])}. Say its URI.")
    db.attach("run_datasets", runs={row["run_id"] for row in rows})
    said = db.rows("""SELECT run_id, namespace, name AS dataset FROM near_run_datasets
        WHERE role = 'output' AND kind = 'endpoint'""")
    by_run = {row.pop("run_id"): row for row in said}
    nameless: Row = {"namespace": None, "dataset": None}
    return [row | by_run.get(row["run_id"], nameless) for row in rows]

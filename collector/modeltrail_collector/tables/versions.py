"""What the runs behind model versions said, as facts that can be held against each other."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

import duckdb
import msgspec

from modeltrail_collector.tables import pairing
from modeltrail_collector.tables.differences import Facet, Facts, facts
from modeltrail_collector.tables.own import figures, of_model
from modeltrail_collector.tables.pairing import Metric
from modeltrail_collector.tables.scan import fill

Version = tuple[str, str, str]
"""Namespace, name, version."""

_Own = tuple[str | None, int | None, Metric]
"""What the run calls the model that a figure is of, after which step it was measured, and the figure."""

_Row = dict[str, Any]

_FIGURE: Final = ("name", "value", "split", "dataset", "slice", "source")


class Views(NamedTuple):
    """The views to read: what the runs said that made the versions, or that judged them."""

    facets: str
    metrics: str
    run_datasets: str
    runs: str


class _Judged(NamedTuple):
    """A figure of an evaluation, with the model that it names."""

    metric: Metric
    namespace: str
    name: str
    version: str | None
    digest: str | None


def version_facts(
    connection: duckdb.DuckDBPyConnection, models: Collection[Mapping[str, Any]], views: Views
) -> dict[Version, Facts]:
    """The facts of model versions (rows of `models`: of each name all versions that there are).

    Figures of an evaluation belong to the version it names, by digest or by name and version; the others to
    the model that the run says, or to the only one that it made (`own.figures`). Of several figures of one
    name, split, data and slice the last one counts; of a model that was saved after a step of its training
    the last one by then.
    """
    fill(connection, "run_wanted", ("run_id",), {(model["run_id"],) for model in models})
    amid = {(model["run_id"], str(model["step"])) for model in models if model["step"] is not None}
    fill(connection, "saved_amid", ("run_id", "step"), amid)
    said = _said(connection, views.facets)
    own, judged = _figures(connection, views)
    above = _above(connection, views)
    alike: dict[tuple[str, str, str | None], dict[str, set[str | None]]] = defaultdict(dict)
    for model in models:
        runs: set[str | None] = {model["run_id"], model["registered_run_id"]}
        alike[model["namespace"], model["name"], model["digest"]][model["version"]] = runs
    found = {}
    for model in models:
        version = (model["namespace"], model["name"], model["version"])
        same = alike[model["namespace"], model["name"], model["digest"]] if model["digest"] else {}
        facets, of_run = said[model["run_id"]], own[model["run_id"]]
        mine = figures(facets, model, (model_id for model_id, *_ in of_run))
        by = model["step"]
        measured = [
            metric
            for model_id, step, metric in of_run
            if model_id in mine and (None in (model_id, step, by) or step <= by)
        ]
        measured += _of_version(version, model["digest"], judged, same, above)
        found[version] = facts(of_model(facets, model), _last(measured))
        if by is not None:
            found[version].plain.setdefault("parameters", {})["training.step"] = str(by)
    return found


def preceded(models: Iterable[_Row]) -> list[tuple[_Row, _Row]]:
    """(the version before, the version) of all versions of a name (rows of `models`), oldest first.

    Bytes without a registry that a registered version of the name is too (a run that failed had saved
    them, and the next one registered what it made) are no version before another: nothing differs there.
    """
    models = list(models)
    registered = {model["digest"] for model in models if model["registered_name"] is not None} - {None}
    pairs = []
    before: _Row | None = None
    for model in models:
        if before is not None:
            pairs.append((before, model))
        if model["registered_name"] is not None or model["digest"] not in registered:
            before = model
    return pairs


def claimed_by(
    named: str | None,
    above: Collection[str],
    alike: Mapping[str, Collection[str | None]],
    digest: str | None,
) -> set[str]:
    """Which versions of one name, that are the same bytes, a run judged; empty: all of them.

    That which it names, if not by the beginning of the digest alone, as a run does that registers its model
    only afterwards; else those that it, its parent or its root run made or registered.

    Args:
        named: the version that it names, of this name.
        above: the run, its parent and its root run.
        alike: the versions of the same bytes, with the runs that made and registered them.
        digest: of these bytes.
    """
    if named is not None and named in alike and not (digest or "").startswith(named):
        return {named}
    return {version for version, runs in alike.items() if not (set(runs) - {None}).isdisjoint(above)}


def _said(connection: duckdb.DuckDBPyConnection, facets: str) -> dict[str, list[Facet]]:
    said: dict[str, list[Facet]] = defaultdict(list)
    for run_id, scope, namespace, name, key, value, part in connection.execute(f"""
        SELECT run_id, scope, namespace, name, key, value, part FROM {facets}
        SEMI JOIN run_wanted USING (run_id)
        WHERE value IS NOT NULL ORDER BY ALL""").fetchall():  # noqa: S608  names of ours
        said[run_id].append(Facet(scope, namespace, name, key, msgspec.json.decode(value), part))
    return said


def _figures(
    connection: duckdb.DuckDBPyConnection, views: Views
) -> tuple[dict[str, list[_Own]], dict[tuple[str | None, ...], list[_Judged]]]:
    """Figures by the run that reports them of itself; and those of evaluations, by digest and by version."""
    own: dict[str, list[_Own]] = defaultdict(list)
    judged: dict[tuple[str | None, ...], list[_Judged]] = defaultdict(list)
    for row in connection.execute(f"""
        WITH read AS (
            SELECT DISTINCT ON (run_id, name) run_id, name, namespace,
                CASE WHEN versions = 1 THEN fingerprint END AS fingerprint,
                CASE WHEN versions = 1 THEN version END AS version
            FROM (
                SELECT *, count(*) OVER (PARTITION BY run_id, namespace, name) AS versions
                FROM {views.run_datasets} WHERE role = 'input'
            )
            ORDER BY run_id, name, namespace
        ),
        metric AS (
            FROM {views.metrics} WHERE source <> 'series'
            UNION ALL
            SELECT m.* REPLACE ('summary' AS source)
            FROM {views.metrics} AS m JOIN saved_amid AS s ON s.run_id = m.run_id AND m.step <= s.step::BIGINT
            WHERE source = 'series' AND model_id IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY s.step, m.run_id, name, split, dataset, slice, model_id
                ORDER BY m.step DESC, happened_at DESC) = 1
        )
        SELECT model_namespace, model_name, model_version, model_digest, metric.run_id,
            metric.model_id, metric.step, metric.name, {", ".join(_FIGURE[1:])},
            read.namespace, read.fingerprint, read.version
        FROM metric
        LEFT JOIN read ON read.run_id = metric.run_id AND read.name = metric.dataset
        ORDER BY metric.happened_at, step NULLS FIRST, metric.run_id,
            source, metric.name, split, dataset, slice, value""").fetchall():  # noqa: S608  names of ours
        namespace, name, version, digest, run_id, model_id, step, *figure, place, fingerprint, told_as = row
        told = dict(zip(_FIGURE, figure, strict=True))
        content = pairing.content(place, told["dataset"], fingerprint, told_as)
        metric = Metric(**told, run_id=run_id, namespace=place, content=content)
        if name is None:
            own[run_id].append((model_id, step, metric))
            continue
        one = _Judged(metric, namespace, name, version, digest)
        judged[namespace, name, version].append(one)
        if digest:
            judged[(digest,)].append(one)
    return own, judged


def _above(connection: duckdb.DuckDBPyConnection, views: Views) -> dict[str, set[str]]:
    """The runs that judge -> themselves, their parents and their roots."""
    rows = connection.execute(f"""
        SELECT run_id, parent_run_id, root_run_id FROM {views.runs}
        SEMI JOIN (FROM {views.metrics} WHERE source = 'evaluation') USING (run_id)""").fetchall()  # noqa: S608
    return {row[0]: {*row} - {None} for row in rows}


def _of_version(
    version: Version,
    digest: str | None,
    judged: Mapping[tuple[str | None, ...], list[_Judged]],
    alike: Mapping[str, set[str | None]],
    above: Mapping[str, set[str]],
) -> list[Metric]:
    by_digest = judged.get((digest,), []) if digest else []
    by_name = [one for one in judged.get(version, []) if one.digest is None or digest is None]
    found = []
    for one in (*by_digest, *by_name):
        if len(alike) > 1:
            named = one.version if (one.namespace, one.name) == version[:2] else None
            claimed = claimed_by(named, above.get(one.metric.run_id or "", ()), alike, digest)
            if claimed and version[2] not in claimed:
                continue
        found.append(one.metric)
    return found


def _last(figures: Iterable[Metric]) -> list[Metric]:
    return list({(one.key, one.dataset): one for one in figures}.values())

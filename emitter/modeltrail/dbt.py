"""What dbt-ol leaves out of its events: which of a DuckDB's tables are files.

dbt-duckdb reads files (sources with `external_location`, `read_csv(…)` in SQL) and writes some (models that
are materialised as `external`). dbt-ol tells of tables only, by a name that may be relative. In its process
dbt's manifest says where they lie: an event of ours about dbt's run adds that. dbt's own stay as they are.

Nothing of dbt is imported here: in the process of dbt-ol it is there.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from modeltrail import event, naming, standard
from modeltrail.facets import PRODUCER

PROGRAM: Final = "dbt-ol"
_RUNS: Final = ("model.", "snapshot.")
_DUCKDB: Final = f"{naming.DUCKDB}://"
# What DuckDB reads as a file where a query names a table; its functions that read files. Others that are
# called alike (postgres_scan) are given passwords.
_FILE: Final = re.compile(r"/|\.(csv|tsv|parquet|json|jsonl|ndjson)(\.(gz|zst))?$", re.IGNORECASE)
_READS: Final = re.compile(
    r"^(read_(csv|json|ndjson|json_objects|ndjson_objects)(_auto)?|read_(parquet|text|blob|xlsx)|parquet_scan)$"
)
_PATTERN: Final = re.compile(r"[*?\[{]")

Identity = tuple[str, str]


def supplement(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event OTHER that adds the files to a run of which dbt-ol tells; None where there is nothing to add.

    What the run read from files are inputs, and `columnLineage` names them as such. What it wrote has the
    file, and a database that was given by a relative path its absolute one, among its `symlinks`.

    Args:
        told: an event in its JSON form. Only that of a model that is complete, in DuckDB, counts.
    """
    wrapper = sys.modules.get("openlineage.dbt")
    node_id = told.get("job", {}).get("facets", {}).get("dbt_node", {}).get("unique_id") or ""
    if wrapper is None or told.get("eventType") != "COMPLETE" or not node_id.startswith(_RUNS):
        return None
    outputs = [each for each in told.get("outputs", ()) if each["namespace"].startswith(_DUCKDB)]
    if not outputs:
        return None
    project = _project(wrapper)
    manifest = _manifest(project.manifest_path, os.stat(project.manifest_path).st_mtime_ns)  # noqa: PTH116
    node = manifest["nodes"][node_id]
    read = dict(_read(manifest, node))
    added = [found for each in outputs if (found := _written(each, read, _location(project, node)))]
    if not read and not added:
        return None
    run, job = told["run"], told["job"]
    facets = {key: facet for key, facet in run["facets"].items() if key == "parent"}
    inputs = [event.Dataset(*name).as_input() for name in dict.fromkeys(read.values())]
    return event.run_event(
        *("OTHER", event.now(), run["runId"], job["namespace"], job["name"]),
        run_facets=facets,
        inputs=inputs,
        outputs=added,
    )


def _project(wrapper: Any) -> Any:
    """dbt-ol's own reading of its command line: it knows where manifest and profile are."""

    def given(*names: str) -> Any:
        return wrapper.parse_single_arg(sys.argv[1:], [*names])

    return wrapper.DbtLocalArtifactProcessor(
        producer=PRODUCER,
        job_namespace="",
        project_dir=given("--project-dir") or ".",
        profile_name=given("--profile"),
        target=given("-t", "--target"),
        target_path=given("--target-path"),
    )


@lru_cache(maxsize=1)
def _manifest(path: str, changed: int) -> dict[str, Any]:  # noqa: ARG001  read again when it has changed
    found: dict[str, Any] = json.loads(Path(path).read_bytes())
    return found


def _location(project: Any, node: Mapping[str, Any]) -> str | None:
    """Where dbt-duckdb writes an external model; None of others, and where only a running dbt knows it.

    Source of the default: the macro `external_location` of dbt-duckdb 1.11.
    """
    config = node["config"]
    if config.get("materialized") != "external":
        return None
    if not (location := config.get("location")):
        folder = Path(project.get_dbt_profiles_dir(sys.argv[1:]), "profiles.yml")
        profile = project.load_yaml_with_jinja(str(folder))[project.profile_name]
        root = profile["outputs"][project.target or profile["target"]].get("external_root", ".")
        partitioned = "partition_by" in (config.get("options") or {})
        location = f"{root}/{node['alias']}{'' if partitioned else '.' + config.get('format', 'parquet')}"
    return None if "{{" in location else location


def _written(output: Mapping[str, Any], read: Mapping[str, Identity], location: str | None) -> Any:
    """An output with its other names, and with the files that its columns came from; None if it has none."""
    own = (output["namespace"], output["name"])
    absolute = naming.identity("/".join(own))
    links = [(*absolute, "TABLE")] if absolute != own else []
    links += [(*naming.identity(location), "LOCATION")] if location else []
    facets: dict[str, Any] = {"symlinks": standard.symlinks(links)} if links else {}
    lineage = output.get("facets", {}).get("columnLineage")
    if lineage and any(source["name"] in read for source in _sources(lineage)):
        facets["columnLineage"] = named = json.loads(json.dumps(lineage)) | {"_producer": PRODUCER}
        for source in _sources(named):
            if source["name"] in read:
                source["namespace"], source["name"] = read[source["name"]]
    # Called as dbt calls it, whatever characters are in there: that is the dataset these facets are of.
    return {"namespace": own[0], "name": own[1], "facets": facets} if facets else None


def _sources(lineage: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The columns that a facet `columnLineage` names as sources."""
    for field in lineage["fields"].values():
        yield from field["inputFields"]
    yield from lineage.get("dataset", ())


def _read(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[tuple[str, Identity]]:
    """The files that a model reads, as they are written there; its SQL is not known while dbt goes on."""
    sources = (manifest["sources"].get(each) for each in node["depends_on"]["nodes"])
    queries = [f"FROM {source['relation_name']}" for source in sources if source]
    if node.get("compiled_code") and node.get("language", "sql") == "sql":
        queries.append(node["compiled_code"])
    for query in queries:
        for file in _files(_parsed(query)):
            place = file.partition("?")[0] if naming.is_uri(file) else file
            folder, pattern, _ = _PATTERN.sub("\0", place, count=1).partition("\0")
            yield file, naming.identity(folder.rpartition("/")[0] if pattern else place)


def _parsed(query: str) -> Any:
    """The syntax tree of a query, by DuckDB's own parser."""
    with import_module("duckdb").connect() as connection:
        return json.loads(connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()[0])


def _files(tree: Any) -> Iterator[str]:
    """The files below a node of a syntax tree: `FROM 'x.csv'`, `read_csv(['a.csv', 'b.csv'])`."""
    if isinstance(tree, list):
        for each in tree:
            yield from _files(each)
    if not isinstance(tree, dict):
        return
    name = tree.get("table_name", "")
    if tree.get("type") == "BASE_TABLE" and not tree.get("schema_name") and _FILE.search(name):
        yield name
    if tree.get("type") == "TABLE_FUNCTION" and _READS.search(tree["function"]["function_name"]):
        for first in (tree["function"].get("arguments") or tree["function"]["children"])[:1]:
            yield from _texts(first)
    for each in tree.values():
        yield from _files(each)


def _texts(argument: Any) -> Iterator[str]:
    """A text, or the texts of a list: what is put together in the query is not known here.

    DuckDB 2 writes them as `literal`, in a list of arguments, DuckDB 1 as `value`.
    """
    node = argument.get("expression", argument)
    if node.get("type") == "VALUE_CONSTANT":
        found = node["literal"]["text"] if "literal" in node else node["value"]["value"]
        if isinstance(found, str):
            yield found
    elif node.get("function_name") == "list_value" or node.get("type") == "ARRAY_CONSTRUCTOR":
        for each in node.get("arguments") or node.get("children") or ():
            yield from _texts(each)

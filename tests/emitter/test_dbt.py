"""What dbt-ol leaves out of its events, without dbt; `make interop` runs it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import modeltrail
from modeltrail import dbt, guard
from modeltrail.transports.openlineage import LocalConfig

MODELTRAIL = Path(sys.executable).parent / "modeltrail"
TABLE = {"namespace": "duckdb://churn.duckdb", "name": "churn.main.stg"}
PROGRAM = f"""#!{sys.executable}
import os
print(os.environ.get("OPENLINEAGE__TRANSPORT__TYPE"))
"""


pytestmark = pytest.mark.usefixtures("as_at_start")


@pytest.fixture
def emitted(monkeypatch, tmp_path):
    """Emits events in dbt-ol's process, where this manifest is; what is written then."""

    class Processor:
        def __init__(self, **given):
            self.manifest_path = str(tmp_path / "manifest.json")
            self.profile_name, self.target = "churn", given["target"]

        def get_dbt_profiles_dir(self, _):
            return str(tmp_path)

        def load_yaml_with_jinja(self, _):
            return {"churn": {"target": "dev", "outputs": {"dev": {"external_root": "s3://lake/out"}}}}

    wrapper = ModuleType("openlineage.dbt")
    wrapper.DbtLocalArtifactProcessor = Processor
    wrapper.parse_single_arg = lambda *_: None
    monkeypatch.setitem(sys.modules, wrapper.__name__, wrapper)
    monkeypatch.chdir(tmp_path)

    def emit(manifest: dict | None, *told: dict) -> list[dict]:
        if manifest is not None:
            (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        transport = modeltrail.LocalTransport(LocalConfig(tmp_path / "inbox"))
        for event in told:
            transport.emit(event)
        transport.close()
        (file,) = (tmp_path / "inbox").glob("*.ndjson")
        return [json.loads(line) for line in file.read_bytes().splitlines()]

    return emit


def manifest(**config: object) -> dict:
    source = {"relation_name": "'raw/orders.csv'"}
    node = {
        "config": config,
        "alias": "stg",
        "depends_on": {"nodes": ["source.churn.orders", "model.churn.x"]},
    }
    return {"nodes": {"model.churn.stg": node}, "sources": {"source.churn.orders": source}}


def complete(**facets: object) -> dict:
    return {
        "eventType": "COMPLETE",
        "run": {"runId": "r", "facets": {"parent": {"run": {"runId": "p"}}, "dbt_version": {}}},
        "job": {"namespace": "dbt", "name": "stg", "facets": {"dbt_node": {"unique_id": "model.churn.stg"}}},
        "outputs": [{**TABLE, "facets": facets}],
    }


def test_files_and_other_names_are_told_beside_dbts_event(emitted, tmp_path):
    """Dbt's event stays as it is; another of its run has the files, and the absolute name of the database."""
    column = {"namespace": TABLE["namespace"], "name": "raw/orders.csv", "field": "amount"}
    told = complete(columnLineage={"fields": {"amount": {"inputFields": [column]}}})
    own, more = emitted(manifest(materialized="external"), told)
    assert told == own
    assert ("OTHER", "r", {"parent"}) == (more["eventType"], more["run"]["runId"], {*more["run"]["facets"]})
    raw = {"namespace": "file", "name": f"{tmp_path}/raw/orders.csv"}
    assert [raw] == [{key: each[key] for key in raw} for each in more["inputs"]]
    (output,) = more["outputs"]
    assert TABLE == {key: output[key] for key in TABLE}
    assert [
        (f"duckdb://{tmp_path}/churn.duckdb", "churn.main.stg"),
        ("s3://lake", "out/stg.parquet"),
    ] == [(each["namespace"], each["name"]) for each in output["facets"]["symlinks"]["identifiers"]]
    assert [column | raw] == output["facets"]["columnLineage"]["fields"]["amount"]["inputFields"]


def test_what_is_not_the_end_of_a_model_is_let_through(emitted):
    """Of what starts, fails or is no model in DuckDB nothing is looked up."""
    other = {"namespace": "postgres://db:5432", "name": "churn.main.stg"}
    nothing = (
        complete() | {"eventType": "START"},
        complete() | {"eventType": "FAIL"},
        complete() | {"outputs": [other]},
        complete() | {"outputs": []},
        complete() | {"job": {"namespace": "n", "name": "train", "facets": {}}},
    )
    assert list(nothing) == emitted(None, *nothing)
    assert {} == guard.failures()


def test_without_a_manifest_dbts_event_is_sent(emitted, caplog):
    """What cannot be looked up is warned of; dbt's own event is not lost by it."""
    assert [complete()] == emitted(None, complete())
    assert "looking for the files behind dbt's tables failed" in caplog.text


def test_files_of_a_query():
    """Files are what DuckDB's own parser reads as such: no text in a comment, no table that is quoted."""
    query = """
        WITH a AS (SELECT * FROM read_csv(['x.csv', 'y.csv'], delim = ';')) -- FROM 'no.csv'
        SELECT 'neither.csv' FROM a, 'd/*.parquet' AS d JOIN "churn"."main"."z.csv" ON TRUE
        WHERE EXISTS (FROM parquet_scan('s3://b/k'))"""
    assert ["d/*.parquet", "s3://b/k", "x.csv", "y.csv"] == sorted(dbt._files(dbt._parsed(query)))


@pytest.mark.parametrize(
    "query",
    [
        "FROM postgres_scan('dbname=shop password=hunter2 host=db', 'public', 'orders')",
        "FROM mysql_scan('host=db password=hunter2', 'shop', 'orders')",
        "FROM read_csv('/raw/' || strftime(current_date, '%Y') || '/x.csv')",
        "FROM read_csv(getvariable('f'))",
    ],
)
def test_what_is_no_file_that_stands_there_is_none(query):
    """Databases are given passwords, and what a query puts together is not known before it runs."""
    assert [] == list(dbt._files(dbt._parsed(query)))


def test_a_token_in_a_url_is_no_pattern():
    """What follows the question mark of a URL is left out, and the file is named."""
    node = {
        "depends_on": {"nodes": []},
        "compiled_code": "FROM read_csv('https://host/d/x.csv?token=hunter2')",
    }
    assert [("https://host", "/d/x.csv")] == [name for _, name in dbt._read({"sources": {}}, node)]


def test_dbt_ol_of_another_environment_is_no_problem(tmp_path):
    """Where it finds no modeltrail nothing is lent, and the script around it is recorded all the same."""
    (tmp_path / "modeltrail").mkdir()
    (tmp_path / "modeltrail" / "__init__.py").write_text("raise ModuleNotFoundError('not here')")
    (tmp_path / "dbt-ol").write_text("import os; print(os.environ.get('OPENLINEAGE__TRANSPORT__TYPE'))")
    (tmp_path / "train.py").write_text(
        "import os, subprocess, sys\n"
        f"path = os.environ['PYTHONPATH'] + os.pathsep + {str(tmp_path)!r}\n"
        "subprocess.run([sys.executable, 'dbt-ol'], env={**os.environ, 'PYTHONPATH': path}, check=True)\n"
    )
    command = [MODELTRAIL, "run", "--", sys.executable, "-P", "train.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ("None", "") == (done.stdout.strip(), done.stderr)


@pytest.mark.parametrize(
    ("name", "configured", "expected"),
    [
        ("dbt-ol", {}, "modeltrail.LocalTransport"),
        ("dbt-ol", {"OPENLINEAGE__TRANSPORT__TYPE": "console"}, "console"),
        ("dbt-ol", {"OPENLINEAGE_URL": "http://127.0.0.1:1"}, "None"),
        ("other", {}, "None"),
    ],
)
def test_dbt_ol_below_our_launcher_has_a_transport(tmp_path, name, configured, expected):
    """dbt-ol writes to the inbox where nothing is configured, also below a script; no other is told so."""
    program = tmp_path / name
    program.write_text(PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    for command in ([str(program)], ["sh", "-c", f"{sys.executable} -c pass; {program}"]):
        done = subprocess.run(
            [MODELTRAIL, "run", "--", *command],
            env={**os.environ, **configured},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert expected == done.stdout.strip()

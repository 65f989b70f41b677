"""Tables of a real PostgreSQL: what a training reads by SQL, and who wrote it."""

import json
import sys
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from interop.postgres_home import postgres_server
from openlineage.client.naming.dataset import Postgres
from sqlalchemy import create_engine

from modeltrail import naming
from modeltrail.observe import databases

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]

INGEST = """
import sys
import pandas as pd
from sqlalchemy import create_engine

engine, read = create_engine(sys.argv[1]), pd.read_csv("raw.csv")
read.to_sql("people", engine, schema="mart", index=False)
read[["id"]].assign(amount=3.0).to_sql("orders", engine, index=False, if_exists="replace")
"""
TRAIN = """
import sys
import joblib, pandas as pd
from sklearn.linear_model import LogisticRegression
from sqlalchemy import create_engine

engine = create_engine(sys.argv[1])
people = pd.read_sql("SELECT p.*, o.amount FROM mart.People p JOIN orders o USING (id) WHERE age > %(a)s",
                     engine, params={"a": 3})
joblib.dump(LogisticRegression().fit(people[["age", "amount"]], people["y"]), "churn.joblib")
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Of a server with two tables, in two schemas."""
    with postgres_server(tmp_path_factory.mktemp("home") / "postgres") as port:
        yield port


@pytest.fixture
def engine(port):
    with psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="shop") as connection:
        connection.execute("DROP SCHEMA IF EXISTS mart CASCADE")
        connection.execute("CREATE SCHEMA mart")
    engine = create_engine(f"postgresql+psycopg://postgres:hunter2@127.0.0.1:{port}/shop")
    yield engine
    engine.dispose()


@pytest.fixture
def people(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"id": range(40), "age": [n % 17 for n in range(40)], "y": [0, 1] * 20})
    frame.to_csv("raw.csv", index=False)
    return frame


def test_the_trail_of_a_model_goes_through_the_tables_to_the_raw_file(engine, people, modeltrail_command):
    """One script writes them, another one trains on them; neither knows of us."""
    url = engine.url.render_as_string(hide_password=False)
    for name, script in (("ingest.py", INGEST), ("train.py", TRAIN)):
        Path(name).write_text(script)
        modeltrail_command("run", "--", sys.executable, name, url)
    told = "".join(file.read_text() for file in Path("lineage/inbox").iterdir())
    assert "shop.mart.people" in told
    assert "hunter2" not in told
    modeltrail_command("compact")
    trail = modeltrail_command("trace", "churn.joblib").stdout
    assert f"shop.mart.people (postgres://127.0.0.1:{engine.url.port})  train" in trail
    assert f"shop.public.orders (postgres://127.0.0.1:{engine.url.port})  train" in trail
    assert 2 == trail.count("raw.csv")
    shown = json.loads(modeltrail_command("show", "churn.joblib", "--json").stdout)
    assert "postgres" == shown["code"]["query"]["dialect"]


def test_a_driver_s_own_connection_says_where_it_leads(engine, people):
    """Its search path too, which a query without a schema goes by."""
    people.to_sql("people", engine, schema="mart", index=False)
    where = {"host": "127.0.0.1", "port": engine.url.port, "user": "postgres", "dbname": "shop"}
    named = Postgres("127.0.0.1", str(engine.url.port), "shop", "mart", "people")
    for options in ({}, {"row_factory": psycopg.rows.dict_row}):
        with psycopg.connect(**where, options="-c search_path=mart", **options) as connection:
            connection.execute("SELECT * FROM people")
            (place,) = databases.look(connection, "SELECT * FROM people").places
    assert (named.get_namespace(), named.get_name()) == naming.identity(place)

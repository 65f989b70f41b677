"""Tables of a database: what a query reads for a frame, and which table a frame goes to."""

import logging
import sqlite3
import sys
from contextlib import closing

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sqlalchemy import MetaData, Table, create_engine, select
from told import edges, uses

import modeltrail
from modeltrail import naming
from modeltrail.observe import databases

JOINED = "SELECT p.age, p.y, o.amount FROM people p JOIN orders o ON p.id = o.id WHERE p.age > :least"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A database of two tables, and its URL."""
    monkeypatch.chdir(tmp_path)
    people = pd.DataFrame({"id": range(40), "age": np.arange(40) % 17, "y": [0, 1] * 20})
    with closing(sqlite3.connect("shop.db")) as connection:
        people.to_sql("people", connection, index=False)
        people[["id"]].assign(amount=3.0).to_sql("orders", connection, index=False)
    return f"sqlite:///{tmp_path / 'shop.db'}"


def train(frame, columns=("age",)):
    with modeltrail.run("train") as run:
        found = frame() if callable(frame) else frame
        model = LogisticRegression().fit(found[list(columns)], found["y"])
        run.output_model(model, name="churn")


def read_at(told):
    """The tables that the last run learned from."""
    return {name for name, use in uses(told()[-1]).items() if use["role"] == "train" and "main." in name}


def asked(told):
    """The facet `sql` of the last run, if it has one."""
    found = told()[-1]["job"]["facets"].get("sql")
    return found and {name: found[name] for name in ("query", "dialect")}


def by_engine(url):
    return pd.read_sql(JOINED, create_engine(url), params={"least": 3})


def by_connection(url):
    with create_engine(url).connect() as connection:
        return pd.read_sql_query(JOINED.replace(":least", "3"), connection)


def by_url(url):
    return pd.read_sql_query(JOINED.replace(":least", "3"), url)


def by_driver(url):
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.row_factory = sqlite3.Row
        return pd.read_sql(JOINED, connection, params={"least": 3})


def by_polars(url):
    with create_engine(url).connect() as connection:
        return pl.read_database(JOINED.replace(":least", "3"), connection)


WAYS = (by_engine, by_connection, by_url, by_driver, by_polars)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_model_learned_from_the_tables_that_a_query_joins_however_it_is_asked(way, shop, autolog, told):
    """Both tables go by the file that they lie in, and the model comes of both."""
    autolog()
    train(lambda: way(shop))
    assert {"main.people", "main.orders"} == read_at(told)
    event, database = told()[-1], shop.replace("////", "///")
    places = {(each["namespace"], each["name"]) for each in event["inputs"]}
    assert {(database, "main.people"), (database, "main.orders")} <= places
    assert {"main.people", "main.orders"} <= edges(event)["churn"]


@pytest.mark.parametrize("read", [pd.read_sql, pd.read_sql_table])
def test_a_whole_table_is_read_by_its_name(read, shop, autolog, told):
    """No parser is needed for that."""
    autolog()
    train(lambda: read("people", create_engine(shop)))
    assert {"main.people"} == read_at(told)
    assert asked(told) is None


def test_a_statement_of_sqlalchemy_is_a_query_too(shop, autolog, told):
    """It is read as the SQL that it stands for."""
    autolog()
    engine = create_engine(shop)
    people = Table("people", MetaData(), autoload_with=engine)
    train(lambda: pd.read_sql(select(people).where(people.c.age > 3), engine))
    assert {"main.people"} == read_at(told)


def test_what_a_job_asked_is_its_facet_sql_without_secrets_and_values(shop, autolog, told):
    """The standard facet, with each query once; parameters stay with the program."""
    autolog()
    train(lambda: [by_engine(shop), by_engine(shop), pd.read_sql("SELECT 1 -- password=hunter2", shop)][0])
    query = f"{JOINED};\nSELECT 1 -- password=[redacted]"
    assert {"query": query, "dialect": "sqlite"} == asked(told)


def test_a_table_that_is_written_comes_of_the_file_that_its_frame_was_read_from(shop, autolog, told):
    """By pandas and by polars, which has pandas write."""
    autolog()
    pd.DataFrame({"id": [1], "age": [3]}).to_csv("raw.csv", index=False)
    with modeltrail.run("ingest"):
        pd.read_csv("raw.csv").to_sql("clean", create_engine(shop), index=False)
    assert {"main.clean": {"raw.csv"}} == edges(told()[-1])
    with modeltrail.run("ingest"):
        pl.read_csv("raw.csv").write_database("people", shop, if_table_exists="replace")
    assert {"main.people": {"raw.csv"}} == edges(told()[-1])


def test_a_table_that_is_added_to_comes_of_what_lay_in_it_too(shop, autolog, told):
    """Where there was one: a new table that a frame is appended to held nothing."""
    autolog()
    pd.DataFrame({"id": [1], "age": [3], "y": [1]}).to_csv("raw.csv", index=False)
    for name, before in (("people", {"main.people"}), ("new", set())):
        with modeltrail.run("ingest"):
            pd.read_csv("raw.csv").to_sql(name, create_engine(shop), index=False, if_exists="append")
        assert {f"main.{name}": {"raw.csv", *before}} == edges(told()[-1])


def test_a_table_leads_from_who_reads_it_to_who_wrote_it_in_another_run(shop, autolog, told):
    """Both call it by the same names."""
    autolog()
    with modeltrail.run("ingest"):
        pd.DataFrame({"age": range(9), "y": [0, 1, 0] * 3}).to_sql("clean", create_engine(shop), index=False)
    (wrote,) = told()[-1]["outputs"]
    train(lambda: pl.read_database("SELECT * FROM clean", create_engine(shop)))
    assert (wrote["namespace"], wrote["name"]) in {
        (each["namespace"], each["name"]) for each in told()[-1]["inputs"]
    }


def test_a_query_in_chunks_is_read_and_nobody_says_what_for(shop, autolog, told):
    """Chunks are made one by one, when the program asks for them."""
    autolog()
    train(lambda: pd.concat(pd.read_sql("SELECT * FROM people", create_engine(shop), chunksize=7)))
    assert "other" == uses(told()[-1])["main.people"]["role"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM (VALUES (1, 0), (2, 1)) AS made",
        "WITH people AS (SELECT 1 AS age, 0 AS y UNION SELECT 2, 1) SELECT * FROM people",
    ],
)
def test_what_a_query_makes_itself_is_no_table(query, shop, autolog, told):
    """Values, and what a query calls so for itself."""
    autolog()
    train(lambda: pd.read_sql(query, shop).set_axis(["age", "y"], axis=1))
    assert set() == read_at(told)


def test_tables_of_other_files_and_those_in_memory_are_not_told(shop, autolog, told):
    """Nobody could find them by the name that the connection has for them."""
    autolog()
    with closing(sqlite3.connect(shop.removeprefix("sqlite:///"))) as connection:
        connection.execute("ATTACH ':memory:' AS aside")
        connection.execute("CREATE TABLE aside.t AS SELECT * FROM people")
        train(lambda: pd.read_sql("SELECT * FROM aside.t", connection))
    assert {"inmemory://"} == {each["namespace"] for each in told()[-1]["inputs"]}
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (age, y)")
        connection.execute("INSERT INTO t VALUES (1, 0), (2, 1)")
        train(lambda: pd.read_sql("SELECT * FROM t", connection))
    assert set() == read_at(told)


def test_an_error_of_the_database_is_the_program_s_and_leaves_nothing(shop, autolog, told):
    """As without us."""
    autolog()
    with modeltrail.run("train"), pytest.raises(pd.errors.DatabaseError, match="no such table"):
        pd.read_sql("SELECT * FROM missing", create_engine(shop))
    assert asked(told) is None
    assert [] == told()[-1]["inputs"]


def test_without_a_parser_the_query_is_told_and_how_to_know_its_tables(
    shop, autolog, told, monkeypatch, caplog
):
    """Once, by the logger; whole tables are told all the same."""
    monkeypatch.setitem(sys.modules, "openlineage_sql", None)
    autolog()
    with caplog.at_level(logging.WARNING, "modeltrail"):
        train(lambda: by_engine(shop))
        train(lambda: by_engine(shop))
    assert set() == read_at(told)
    assert JOINED == asked(told)["query"]
    assert 1 == caplog.text.count("pip install 'modeltrail[sql]'")
    train(lambda: pd.read_sql_table("people", shop))
    assert {"main.people"} == read_at(told)


NAMED = {
    "SELECT * FROM Orders": ["shop.public.orders"],
    'SELECT * FROM "Orders"': ["shop.public.Orders"],
    "SELECT * FROM sales.orders WHERE at > %(since)s AND to_go = %s": ["shop.sales.orders"],
    "SELECT * FROM other.sales.orders": ["other.sales.orders"],
    "SELECT * FROM a, b UNION ALL SELECT * FROM a": ["shop.public.a", "shop.public.b"],
    "SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b)": ["shop.public.a", "shop.public.b"],
    "SELECT * FROM generate_series(1, 9) AS n, a": ["shop.public.a"],
    "SELECT 1": [],
    "SELEC * FROM a": [],
}


@pytest.mark.parametrize("query", NAMED)
def test_a_table_of_a_server_is_called_as_openlineage_calls_it(query):
    """Database, schema and name, in the case that PostgreSQL keeps them in."""
    places = databases.look("postgresql+psycopg2://me:hunter2@db/shop", query).places
    assert [("postgres://db:5432", name) for name in NAMED[query]] == [*map(naming.identity, places)]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("mysql+pymysql://me@db/shop", ("mysql://db:3306", "shop.t")),
        ("mariadb://db:3307/shop", ("mysql://db:3307", "shop.t")),
        ("mssql+pyodbc://db/shop", ("mssql://db:1433", "shop.dbo.t")),
        ("postgresql:///shop", ("postgres://localhost:5432", "shop.public.t")),
        ("sqlite:////srv/shop.db", ("sqlite:///srv/shop.db", "main.t")),
    ],
)
def test_each_kind_of_database_has_its_own_way_to_call_a_table(url, place):
    """As the classes in `openlineage.client.naming.dataset` have it; of SQLite there is none."""
    assert [place] == [naming.identity(each) for each in databases.look(url, "SELECT * FROM t").places]


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://db", "snowflake://acme/shop", "no URL"])
def test_of_a_database_that_is_not_known_no_table_is_told(url):
    """Nor of one that has no place, or of which nobody says which it is."""
    assert () == databases.look(url, "SELECT * FROM t").places


def test_a_connection_is_not_changed_by_the_look_at_it(shop):
    """Its rows are made as before, and no transaction is begun."""
    with closing(sqlite3.connect(shop.removeprefix("sqlite:///"))) as connection:
        connection.row_factory = lambda cursor, row: {"of": cursor, "row": row}
        before = connection.row_factory
        assert databases.look(connection, "SELECT * FROM people").places
        assert before is connection.row_factory
        assert not connection.in_transaction

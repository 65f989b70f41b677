"""polars, as people use it: from which files a frame came, and where frames went."""

import gc
import pickle
import warnings
import weakref
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from told import edges, known

import modeltrail
from modeltrail.observe import origins


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where two tables lie that have a key in common."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    people = {"id": range(40), "age": random.normal(size=40), "kind": ["x", "y"] * 20, "churned": [0, 1] * 20}
    pl.DataFrame(people).write_csv("people.csv")
    pl.DataFrame({"id": range(40), "amount": random.normal(size=40)}).write_csv("orders.csv")
    return tmp_path


MADE = {
    "select": lambda d: d.select("age"),
    "filter": lambda d: d.filter(pl.col("age") > 0),
    "column": lambda d: d["age"],
    "slice": lambda d: d[:3],
    "with_columns": lambda d: d.with_columns(z=pl.col("age") * 2),
    "drop": lambda d: d.drop("kind"),
    "rename": lambda d: d.rename({"age": "years"}),
    "cast": lambda d: d.cast({"id": pl.Float64}),
    "sort": lambda d: d.sort("age"),
    "sample": lambda d: d.sample(3, seed=0),
    "unique": lambda d: d.unique("kind"),
    "drop_nulls": lambda d: d.drop_nulls(),
    "group_by": lambda d: d.group_by("kind").agg(pl.sum("age")),
    "group_by mean": lambda d: d.group_by("kind").mean(),
    "group_by one by one": lambda d: next(group for _, group in d.group_by("kind")),
    "group_by_dynamic": lambda d: d.sort("id").group_by_dynamic("id", every="5i").agg(pl.sum("age")),
    "pivot": lambda d: d.pivot("kind", index="id", values="age"),  # noqa: PD010
    "unpivot": lambda d: d.unpivot(index="id", on=["age"]),
    "to_dummies": lambda d: d.to_dummies("kind"),
    "partition_by": lambda d: d.partition_by("kind")[0],
    "pipe": lambda d: d.pipe(lambda frame: frame.head()),
    "sql": lambda d: d.sql("SELECT age FROM self"),
    "clone": lambda d: d.clone(),
    "lazy": lambda d: d.lazy().filter(pl.col("age") > 0).group_by("kind").agg(pl.mean("age")).collect(),
    "a plan": lambda d: d.lazy().select("age"),
    "arithmetic": lambda d: (d["age"] - 1) / d["id"],
    "rolling": lambda d: d["age"].rolling_mean(2),
    "DataFrame": lambda d: pl.DataFrame({"a": d["age"]}),
    "Series": lambda d: pl.Series(d["age"].to_numpy()),
    "Series with a name": lambda d: pl.Series("age", d["age"].to_numpy()),
    "Series of named arguments": lambda d: pl.Series(name="age", values=d["age"].to_numpy()),
    "to_numpy": lambda d: d.select("age").to_numpy(),
    "asarray": lambda d: np.asarray(d.select("age")),
    "to_pandas": lambda d: d.to_pandas(),
    "from_pandas": lambda d: pl.from_pandas(d.to_pandas()),
    "from_arrow": lambda d: pl.from_arrow(d.to_arrow()),
}
JOINED = {
    "join": lambda d, e: d.join(e, on="id"),
    "join of plans": lambda d, e: d.lazy().join(e.lazy(), on="id").collect(),
    "join_asof": lambda d, e: d.join_asof(e, on="id"),
    "concat": lambda d, e: pl.concat([d.select("id"), e.select("id")]),
    "concat of plans": lambda d, e: pl.concat([d.lazy().select("id"), e.lazy().select("id")]).collect(),
    "hstack": lambda d, e: d.hstack([e["amount"]]),
    "with_columns": lambda d, e: d.with_columns(e["amount"]),
    "extend": lambda d, e: d.select("id").extend(e.select("id")),
    "arithmetic": lambda d, e: d["age"] * e["amount"],
    "DataFrame": lambda d, e: pl.DataFrame({"a": d["age"], "b": e["amount"]}),
    "SQLContext": lambda d, e: pl.SQLContext(d=d, e=e.lazy()).execute(QUERY).collect(),
    "SQLContext of frames": lambda d, e: pl.SQLContext({"d": d.lazy(), "e": e}).execute(QUERY, eager=True),
    "pl.sql": lambda d, e: pl.sql(QUERY).collect(),
    "pl.sql of pandas": lambda d, e: _sql_of_pandas(d.to_pandas(), e.to_arrow()),
}
QUERY = "SELECT d.age, e.amount FROM d JOIN e ON d.id = e.id WHERE e.amount < 9"


def _sql_of_pandas(d, e):
    return pl.sql(QUERY, eager=True)


@pytest.mark.parametrize("how", MADE)
@pytest.mark.filterwarnings("ignore:.*set_sorted.*")
def test_what_is_made_of_a_frame_came_from_its_file(autolog, folder, how):
    """One operation after the other."""
    autolog()
    assert ["people.csv"] == known(MADE[how](pl.read_csv("people.csv")))


@pytest.mark.parametrize("how", JOINED)
@pytest.mark.filterwarnings("ignore:.*ortedness.*")
def test_what_is_made_of_two_frames_came_from_both_files(autolog, folder, how):
    """One way to put frames together after the other."""
    autolog()
    made = JOINED[how](pl.read_csv("people.csv"), pl.scan_csv("orders.csv").collect())
    assert ["orders.csv", "people.csv"] == known(made)


def test_a_query_came_from_the_files_of_its_tables(autolog, folder):
    """Not from those of other tables of the context; a name that is registered again is another table."""
    autolog()
    people, orders = pl.read_csv("people.csv"), pl.scan_csv("orders.csv")
    context = pl.SQLContext(people=people, orders=orders, own=pl.DataFrame({"id": [1]}))
    queries = [
        "SELECT id FROM orders",
        "SELECT id FROM own",
        "WITH t AS (SELECT * FROM people) SELECT * FROM t",
    ]
    found = [known(context.execute(query, eager=True)) for query in queries]
    assert [["orders.csv"], None, ["people.csv"]] == found
    context.register("own", people)
    assert ["people.csv"] == known(context.execute("SELECT id FROM own"))


def test_of_many_results_the_first_are_followed(autolog, folder):
    """What falls into very many frames is not followed to the last."""
    autolog("polars")
    rows = 2 * origins.MAX_PARTS
    pl.DataFrame({"id": range(rows)}).write_csv("many.csv")
    parts = pl.read_csv("many.csv").partition_by("id")
    assert rows == len(parts)
    last = origins.MAX_PARTS - 1
    assert (["many.csv"], ["many.csv"], None) == tuple(known(parts[each]) for each in (0, last, last + 1))


def test_what_cannot_be_followed_has_no_origin(autolog, folder):
    """Values that leave polars, and data of the program's own: absent, not guessed."""
    autolog()
    people = pl.read_csv("people.csv")
    lost = [people["kind"].str.to_uppercase(), pl.DataFrame(people.rows(), orient="row")]
    assert [None] * 2 == [known(each) for each in lost]


def test_queries_that_run_together_are_told_apart(autolog, folder):
    """Each of several results came from the files of its own plan."""
    autolog()
    frames = pl.collect_all([pl.scan_csv("people.csv"), pl.scan_csv("orders.csv")])
    assert [["people.csv"], ["orders.csv"]] == [known(frame) for frame in frames]


FORMATS = {
    "csv": ("write_csv", "read_csv", "scan_csv"),
    "parquet": ("write_parquet", "read_parquet", "scan_parquet"),
    "ndjson": ("write_ndjson", "read_ndjson", "scan_ndjson"),
    "arrow": ("write_ipc", "read_ipc", "scan_ipc"),
    "json": ("write_json", "read_json", None),
    "avro": ("write_avro", "read_avro", None),
}


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_known_when_written_and_read(autolog, told, folder, form):
    """What is written in a run is an output made of what it came from; that is no step of its own."""
    autolog()
    write, read, scan = FORMATS[form]
    with modeltrail.run("prepare"):
        getattr(pl.read_csv("people.csv"), write)(f"out.{form}")
    (event,) = told()
    assert {f"out.{form}": {"people.csv"}} == edges(event)
    assert "modelTrail_featureTransformations" not in event["run"]["facets"]
    assert [f"out.{form}"] == known(getattr(pl, read)(f"out.{form}"))
    if scan is not None:
        assert [f"out.{form}"] == known(getattr(pl, scan)(f"out.{form}").collect())


def test_a_sink_is_an_output_when_it_has_run(autolog, told, folder):
    """One that is only planned has written nothing."""
    autolog()
    Path("planned.csv").write_text("of before")
    with modeltrail.run("prepare"):
        pl.scan_csv("people.csv").sink_parquet("out.parquet")
        pl.scan_csv("people.csv").sink_csv("planned.csv", lazy=True)
    assert {"out.parquet": {"people.csv"}} == edges(told()[0])


def test_several_files_are_several_sources(autolog, folder):
    """By a pattern, a list, and an open file."""
    autolog()
    for name in ("part-1.csv", "part-2.csv"):
        pl.DataFrame({"a": [1]}).write_csv(name)
    parts = ["part-1.csv", "part-2.csv"]
    assert parts == known(pl.read_csv("part-*.csv")) == known(pl.scan_csv(parts).collect())
    with Path("part-1.csv").open("rb") as file:
        assert ["part-1.csv"] == known(pl.read_csv(file))


def test_a_model_came_from_the_files_that_it_learned_from(autolog, told, folder):
    """Of frames that scikit-learn takes as they are."""
    autolog()
    with modeltrail.run("train"):
        frame = pl.read_csv("people.csv").join(pl.read_csv("orders.csv"), on="id")
        model = LogisticRegression().fit(frame.select("age", "amount"), frame["churned"])
        joblib.dump(model, "churn.joblib")
    (event,) = told()
    assert {"churn.joblib": {"people.csv", "orders.csv", "train"}} == edges(event)
    features = {
        Path(each["name"]).name: each["inputFacets"]["modelTrail_dataUse"]["features"]
        for each in event["inputs"]
    }
    expected = {"people.csv": ["age"], "orders.csv": ["amount"], "train": ["age", "amount"]}
    assert expected == features


def test_how_rows_were_drawn_is_known(autolog, folder):
    """`sample` of a frame or a column is a choice of rows, with its share and seed."""
    autolog()
    people = pl.read_csv("people.csv")
    drawn = people.sample(fraction=0.5, seed=3), people["age"].sample(2, seed=4, with_replacement=True)
    assert [("random", 0.5, 3), ("bootstrap", round(2 / len(people), 6), 4)] == [
        tuple(origins.of(part).split[name] for name in ("strategy", "fraction", "seed")) for part in drawn
    ]
    assert [["people.csv"]] * 2 == [
        [Path(source.place).name for source in origins.of(part).sources] for part in drawn
    ]


def test_frames_are_as_ever(autolog, folder):
    """Results and their pickles are the same with and without."""

    def everything():
        frame = pl.read_csv("people.csv")
        made = [MADE[how](frame) for how in ("filter", "with_columns", "arithmetic", "to_numpy", "a plan")]
        return [
            (type(each), pickle.dumps(each.collect() if hasattr(each, "collect") else each)) for each in made
        ]

    before = everything()
    autolog("polars")
    assert before == everything()


def test_what_polars_warns_of_is_told_at_the_line_of_the_host_s(autolog, folder):
    """The library looks for the first frame that is none of its own."""
    autolog()
    frame = pl.DataFrame({"g": [1, 1], "a": [1, 2]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile("frame.lazy().columns", "host.py", "exec"), {"frame": frame})
    assert [("host.py", 1)] == [(each.filename, each.lineno) for each in caught]


def test_frames_are_not_kept_alive(autolog, folder):
    """A frame goes when nobody holds it any more, without the collector of cycles."""
    autolog()
    people = pl.read_csv("people.csv")
    gc.collect()
    before = len(origins._known)
    gc.disable()
    try:
        parts = [people.head() for _ in range(50)]
        gone = weakref.ref(parts[0])
        assert before + 50 == len(origins._known)
        del parts
        assert (None, before) == (gone(), len(origins._known))
    finally:
        gc.enable()


def test_the_host_s_exceptions_are_its_own(autolog, folder):
    """As polars says it, with nothing chained."""
    autolog()
    with pytest.raises(pl.exceptions.ColumnNotFoundError) as caught:
        pd.DataFrame(pl.read_csv("people.csv").select("nothing"))
    assert None is caught.value.__cause__

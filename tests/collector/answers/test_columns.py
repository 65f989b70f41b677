"""Which columns of a file went into a model: nothing is left out that may have."""

from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli.impact import impact as command
from modeltrail_collector.errors import NotFound

FILE = {"x": 1, "z": 2, "note": 3, "y": 4}
"""Column -> something about its content."""


@pytest.fixture
def fitted(make, log_of):
    """A log of a run that fitted a model on this: dataset -> column -> something about its content."""

    def data(name, columns, role="train", **use):
        profile = {
            column: {"count": 9, "nulls": 0, "quantiles": of and [of]} for column, of in columns.items()
        }
        fields = [{"name": column, "type": "double"} for column in columns]
        said = {"features": [column for column in columns if column in use["taken"]], **use}
        del said["taken"]
        return make.dataset(
            name,
            namespace="file" if name.startswith("/") else "inmemory://",
            schema=make.facet("schema", fields=fields),
            inputFacets__modelTrail_featureProfile=make.facet("modelTrail_featureProfile", columns=profile),
            inputFacets__modelTrail_dataUse=make.facet(
                "modelTrail_dataUse",
                role=role,
                fingerprint={"algorithm": "sha256", "digest": make.digest(name), "scope": "full"},
                capture="observed",
                **said,
            ),
        )

    def fitted(tables, features, **use):
        kind = make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")
        digest = make.digest("m")
        artifact = make.facet(
            "modelTrail_modelArtifact",
            digest=digest,
            digestAlgorithm="sha256",
            uri="file:///d/m",
            sizeBytes=1,
        )
        use = {"labelColumn": "y", "taken": features, **use}
        model = make.dataset("/d/m", datasetType=kind, outputFacets__modelTrail_modelArtifact=artifact)
        inputs = [data(name, columns, **use) for name, columns in tables.items()]
        return log_of(
            [make.run_event("COMPLETE", make.base, "000000", "train", inputs=inputs, outputs=[model])]
        )

    return fitted


def came_from(log, column):
    """Dataset, how, of the inputs of the model."""
    return [(each["name"], each["how"]) for each in answers.trace(log, "/d/m", column=column)["inputs"]]


def reached(log, column):
    return [
        (row["name"], row["columns"])
        for row in answers.impact(log, "raw.csv", column=column)
        if row["kind"] == "model"
    ]


@pytest.mark.parametrize(
    ("tables", "features"),
    [
        ({"t/train": {"x": 1, "score": 7, "y": 4}}, ["x", "score"]),
        ({"t/train": {"x": 1, "zz": 2, "y": 4}}, ["x", "zz"]),
        ({"t/train": {"x": 8, "y": 4}}, ["x"]),
        ({"t/train": {"x": None, "y": 4}}, ["x"]),
        ({"t/train": {"x": 1, "y": 5}}, ["x"]),
        ({"t/train": {"x": 1, "y": 4}, "t/validation": {"x": 6, "y": 6}}, ["x"]),
        ({"t/train": {"x": 1, "y": 4}, "/d/other.csv": {"x": 1, "y": 4}}, ["x"]),
        ({"t/train": {}}, ["x"]),
    ],
    ids=[
        "derived",
        "renamed",
        "overwritten",
        "of unknown values",
        "labelled anew",
        "filtered",
        "joined",
        "not seen",
    ],
)
def test_what_may_have_gone_into_a_model_is_told(fitted, tables, features) -> None:
    """A column that is no feature is only ruled out where all that was fitted is as it is in the file."""
    log = fitted({"/d/raw.csv": FILE, **tables}, features)
    assert [("/d/m", None)] == reached(log, "note")
    assert [("/d/m", ["x"])] == reached(log, "x")
    assert ["withdraw"] == [row["action"] for row in answers.erase_plan(log, "raw.csv", column="note")]


def test_what_was_fitted_as_it_is_in_the_file_rules_the_rest_out(fitted) -> None:
    """Of a model fitted on columns of one file, all of their rows as they are, the others are no part."""
    log = fitted({"/d/raw.csv": FILE, "t/train": {"x": 1, "y": 4}}, ["x"])
    assert [] == reached(log, "note")
    assert [("/d/m", ["x"])] == reached(log, "x")
    assert [("/d/m", ["y"])] == reached(log, "y")


def test_each_of_several_labels_went_into_the_model(fitted) -> None:
    """A model of two outputs learned from both of these columns, and `show` names them as its labels."""
    tables = {"/d/raw.csv": FILE, "t/train": {"x": 1, "y": 4, "note": 2}}
    log = fitted(tables, ["x"], labelColumn=None, labelColumns=["y", "note"])
    for label in ("y", "note"):
        assert [("/d/m", [label])] == reached(log, label)
        assert {("label",)} == {tuple(how) for _, how in came_from(log, label)}
    assert [["y", "note"]] * 2 == [row["labels"] for row in answers.show(log, "/d/m")["data"]]


@pytest.mark.parametrize(
    "use", [{"weightColumn": "note"}, {"query": {"text": "SELECT x"}}, {"labelColumn": None}], ids=str
)
def test_weights_queries_and_unknown_labels_rule_nothing_out(fitted, use) -> None:
    """Weights are learned from, a query chooses by what nobody sees, a label without a name may be any."""
    log = fitted({"/d/raw.csv": FILE, "t/train": {"x": 1, "y": 4}}, ["x"], **use)
    assert "/d/m" in dict(reached(log, "note"))


def test_people_are_told_what_is_not_recorded(fitted) -> None:
    """The tree and the plan name the models of which nobody says whether a column went into them."""
    log = fitted({"/d/raw.csv": FILE, "t/train": {"x": 1, "score": 7, "y": 4}}, ["x", "score"])
    asked = ["raw.csv", "--column", "z", "--log", log.uri]
    for more in ([], ["--erase-plan"]):
        told = CliRunner().invoke(command, [*asked, *more], catch_exceptions=False)
        assert "Whether z went into it is not recorded: /d/m.\n" in told.output
    told = CliRunner().invoke(command, ["raw.csv", "--column", "x", "--log", log.uri], catch_exceptions=False)
    assert "not recorded" not in told.output
    assert "columns x" in told.output


def test_a_feature_is_what_a_training_took(fitted) -> None:
    """The way back from a feature or label leads to what the run took it from; a file has more columns."""
    log = fitted({"/d/raw.csv": FILE, "t/train": {"x": 1, "score": 7, "y": 4}}, ["x", "score"])
    assert [("/d/raw.csv", ["feature"]), ("t/train", ["feature"])] == came_from(log, "x")
    assert [("/d/raw.csv", ["label"]), ("t/train", ["label"])] == came_from(log, "y")
    assert [("t/train", ["feature"])] == came_from(log, "score")
    assert "columns" == answers.trace(log, "/d/m", column="score")["cut"]


@pytest.mark.parametrize(
    ("ask", "named", "column"),
    [(answers.trace, "/d/m", "note"), (answers.trace, "raw.csv", "no"), (answers.impact, "raw.csv", "no")],
)
def test_a_column_that_is_not_there_is_an_error(fitted, ask, named, column) -> None:
    """Where the columns are known, another one is an error that names them."""
    log = fitted({"/d/raw.csv": FILE, "t/train": {"x": 1, "score": 7, "y": 4}}, ["x", "score"])
    known = "score, x, y" if named == "/d/m" else "note, x, y, z"
    with pytest.raises(NotFound, match=f"'{column}'.*: {known}\\."):
        ask(log, named, column=column)


@pytest.mark.parametrize(
    ("said", "came"),
    [
        ({"fields": ["a"]}, []),
        ({"fields": []}, None),
        ({"fields": ["a"], "schema": ["a", "b"]}, None),
        ({"fields": ["a"], "schema": ["a"]}, []),
        ({"fields": ["a"], "dataset": ["note"]}, ["a"]),
    ],
    ids=["all it tells", "nothing", "one left out", "all", "a filter"],
)
def test_column_lineage_rules_out_where_it_tells_of_all(make, log_of, said, came) -> None:
    """`columnLineage` rules a column out where it tells of all columns, and rows were not chosen by it."""

    def sources(*columns):
        return [{"namespace": "file", "name": "/d/raw.csv", "field": column} for column in columns]

    lineage = make.facet(
        "columnLineage",
        fields={name: {"inputFields": sources("x")} for name in said["fields"]},
        dataset=sources(*said.get("dataset", ())),
    )
    fields = [{"name": name} for name in said.get("schema", ())]
    output = make.dataset("/d/out", columnLineage=lineage, schema=make.facet("schema", fields=fields))
    log = log_of(
        [
            make.run_event(
                "COMPLETE",
                make.base,
                "000000",
                "prepare",
                inputs=[make.dataset("/d/raw.csv")],
                outputs=[output],
            )
        ]
    )
    rows = answers.impact(log, "raw.csv", column="note")
    told = [row["columns"] for row in rows if row["kind"] == "dataset"]
    assert ([] if came == [] else [came]) == told


def test_a_column_that_only_older_runs_know(make, log_of) -> None:
    """A dataset has the columns that any run ever said of it, however many read it since without saying."""

    def read(number: int, columns: list[str]):
        schema = make.facet("schema", fields=[{"name": column, "type": "double"} for column in columns])
        raw = make.dataset("/d/raw.csv", schema=schema)
        at = make.base + timedelta(hours=number)
        return make.run_event("COMPLETE", at, make.uuid7(at, number), "read", inputs=[raw])

    log = log_of([read(0, ["x", "old"]), *(read(number, ["x"]) for number in range(1, 9))])
    for column in ("x", "old", "old.part"):
        assert 9 == len(answers.impact(log, "raw.csv", column=column))
    with pytest.raises(NotFound, match=r"no column 'new'. It has: old, x"):
        answers.impact(log, "raw.csv", column="new")


FILES = {"real": "/d/2026-11.csv", "link": "/d/current.csv", "other": "/d/latest.csv"}


@pytest.mark.parametrize("wrote", [None, *FILES])
@pytest.mark.parametrize(
    ("read", "said"),
    [("real", "real"), ("link", "link"), ("link", "real"), ("other", "other"), ("other", "real")],
)
def test_a_column_of_a_file_is_one_under_all_its_names(make, log_of, wrote, read, said) -> None:
    """Whoever wrote, read and described it by whichever name: the file's own, or that of a link to it."""

    def file(name: str, **facets):
        fields = [{"name": column, "type": "double"} for column in ("x", "y")]
        if name != "real":
            own = {"namespace": "file", "name": FILES["real"], "type": "LOCATION"}
            facets["symlinks"] = make.facet("symlinks", identifiers=[own])
        return make.dataset(FILES[name], schema=make.facet("schema", fields=fields), **facets)

    lineage = {
        to: {"inputFields": [{"namespace": "file", "name": FILES[said], "field": column}]}
        for to, column in (("z", "x"), ("w", "y"))
    }
    output = make.dataset("/d/out.csv", columnLineage=make.facet("columnLineage", fields=lineage))
    runs = [([], [file(wrote)])] if wrote else []
    runs += [([file(read)], [output])]
    log = log_of(
        make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", f"job {n}", inputs=i, outputs=o
        )
        for n, (i, o) in enumerate(runs)
    )
    for name in {FILES[one] for one in ("real", read, wrote) if one}:
        (_, made) = answers.impact(log, name, column="x")
        assert ("/d/out.csv", ["z"]) == (made["name"], made["columns"])
        for ask in (answers.impact, answers.trace):
            with pytest.raises(NotFound, match="has no column 'q'"):
                ask(log, name, column="q")

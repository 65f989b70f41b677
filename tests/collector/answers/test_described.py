"""What was said of a run, a job or a dataset, by whoever said it."""

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from client_facets import SPECIFIED, class_of, instance
from openlineage.client.serde import Serde

from modeltrail_collector import answers
from modeltrail_collector.cli import answers as commands
from modeltrail_collector.errors import NotFound

RUN = "0190a5d3-6f0f-7c5e-9d7b-0d6b8f4c2a11"
QUERY = "\n".join(["select", *(f"  column_{n}," for n in range(30)), "  1", "from raw.orders"])


@pytest.fixture(scope="module")
def shop(make, log_of):
    """A job that runs twice, and fails at last; a job and a dataset that only events alone tell of."""
    orders = make.dataset(
        "shop/orders",
        ownership=make.facet("ownership", owners=[{"name": "team:growth"}]),
        outputFacets__outputStatistics=make.facet("outputStatistics", rowCount=98),
    )
    tests = [{"assertion": "not_null", "success": False, "column": "id"}]
    raw = make.dataset(
        "raw", inputFacets__dataQualityAssertions=make.facet("dataQualityAssertions", assertions=tests)
    )
    job = {"sql": make.facet("sql", query=QUERY), "documentation": make.facet("d", description="the old one")}
    failed = {
        "errorMessage": make.facet("e", message="no disk", programmingLanguage="SQL", stackTrace="a\nb")
    }
    failed["tags"] = make.facet("t", tags=[{"key": "team\x1b[1m", "value": "growth", "source": "dbt"}])
    later = {"documentation": make.facet("d", description="orders of the shop")}
    base = make.run_event("COMPLETE", make.base, "0", "dbt.orders", job_facets=job, outputs=[orders])
    last = make.run_event(
        "FAIL", make.base + timedelta(1), RUN, "dbt.orders", run_facets=failed, job_facets=later, inputs=[raw]
    )
    schema = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
    alone = {"eventTime": base["eventTime"], "producer": base["producer"]}
    planned = {"namespace": "ml", "name": "planned", "facets": later}
    lonely = {"namespace": "file", "name": "lonely", "facets": {"ownership": orders["facets"]["ownership"]}}
    return log_of(
        [
            base,
            last,
            alone | {"schemaURL": f"{schema}JobEvent", "job": planned},
            alone | {"schemaURL": f"{schema}DatasetEvent", "dataset": lonely},
        ]
    )


def shown(log, *arguments: str) -> SimpleNamespace:
    """What the command prints."""
    found = CliRunner().invoke(commands.show, [*arguments, "--log", log.uri])
    return SimpleNamespace(text=found.stdout, said=found.stderr, code=found.exit_code)


def keys(answer) -> dict[str, str]:
    return {facet["key"]: facet["scope"] for facet in answer["facets"]}


def test_a_run_tells_all_that_it_said(shop) -> None:
    """A run has its row, what went in and out, and its own, its job's and its datasets' facets."""
    for text in (RUN, f"run:{RUN}", RUN[:8], RUN[-12:]):
        told = answers.show(shop, text)
        assert ("FAIL", ["raw"], []) == (
            told["run"]["state"],
            [row["name"] for row in told["inputs"]],
            told["outputs"],
        )
    said = {
        "errorMessage": "run",
        "tags": "run",
        "documentation": "job",
        "dataQualityAssertions": "input_facet",
    }
    assert said == keys(told)
    (error,) = (facet for facet in told["facets"] if facet["key"] == "errorMessage")
    assert ("no disk", 1) == (error["value"]["message"], error["source"]["offset"])
    assert told == json.loads(shown(shop, RUN, "--json").text)


def test_a_job_tells_the_last_of_each_facet(shop) -> None:
    """A job is told by its latest runs: what a later one leaves out still holds."""
    told = answers.show(shop, "dbt.orders")
    assert [RUN, "0"] == [run["run_id"] for run in told["runs"]]
    values = {facet["key"]: facet["value"] for facet in told["facets"]}
    assert (QUERY, "orders of the shop") == (values["sql"]["query"], values["documentation"]["description"])
    assert told == answers.show(shop, "ml/dbt.orders") == answers.show(shop, "job:dbt.orders")


def test_a_dataset_tells_who_made_it_and_what_it_is(shop) -> None:
    """A dataset has its latest writers and readers, and what these said of it and of their use of it."""
    told = answers.show(shop, "orders")
    assert (["0"], []) == ([run["run_id"] for run in told["written_by"]], told["read_by"])
    assert {"ownership": "dataset", "outputStatistics": "output_facet"} == keys(told)
    assert {"dataQualityAssertions": "input_facet"} == keys(answers.show(shop, "dataset:raw"))


def test_what_only_events_without_a_run_tell_is_found(shop) -> None:
    """A job of a JobEvent and a dataset of a DatasetEvent are shown with their facets."""
    job, dataset = answers.show(shop, "planned"), answers.show(shop, "lonely")
    assert ([], {"documentation": "job"}) == (job["runs"], keys(job))
    assert ([], {"ownership": "dataset"}) == (dataset["read_by"], keys(dataset))


def test_what_a_job_is_designed_to_read_and_write_is_told_of_the_job_alone(make, log_of) -> None:
    """A JobEvent declares inputs and outputs; a later one that names none does not take them back."""
    event = make.run_event("COMPLETE", make.base, "-", "static.j")
    event["schemaURL"] = event["schemaURL"].replace("RunEvent", "JobEvent")
    design = {name: value for name, value in event.items() if name not in {"run", "eventType"}}
    lake = {"namespace": "s3://lake"}
    first = design | {"inputs": [lake | {"name": "mart/p"}], "outputs": [lake | {"name": "out/static"}]}
    later = design | {"eventTime": (make.base + timedelta(1)).isoformat(), "inputs": [], "outputs": []}
    log = log_of([first, later])
    told = answers.show(log, "static.j")
    assert [("mart/p", "declared")] == [(row["name"], row["capture"]) for row in told["inputs"]]
    assert [("output", "s3://lake", "out/static")] == [
        (row["role"], row["namespace"], row["name"]) for row in told["outputs"]
    ]
    assert "mart/p (s3://lake)" in shown(log, "static.j").text
    for ask in (answers.trace, answers.impact, answers.show):
        for name in ("out/static", "static", "s3://lake/out/static"):
            with pytest.raises(NotFound, match=r"only the design of a job .* as output of ml/static.j\."):
                ask(log, name)
        with pytest.raises(NotFound) as error:
            ask(log, "nothing")
        assert "JobEvent" not in str(error.value)


def test_what_is_long_is_cut_and_says_how_to_see_all(shop) -> None:
    """A long text is cut where the whole answer is asked for, and is whole where its section is."""
    cut = shown(shop, "dbt.orders").text
    assert "  … 21 more lines: --section sql shows all\n" in cut
    assert "from raw.orders" not in cut
    whole = shown(shop, "dbt.orders", "--section", "sql").text
    assert "from raw.orders" in whole
    assert "…" not in whole
    wrong = shown(shop, "dbt.orders", "--section", "slq")
    assert (2, True) == (wrong.code, "It has: job, runs, inputs, outputs, documentation, sql." in wrong.said)
    told = json.loads(shown(shop, "dbt.orders", "--section", "sql", "--section", "runs", "--json").text)
    assert (["runs", "facets"], ["sql"]) == ([*told], [facet["key"] for facet in told["facets"]])


def test_facets_are_told_in_lines_and_tables(shop) -> None:
    """Fields stand below each other, lists of objects are tables, and nothing acts on the terminal."""
    text = shown(shop, RUN).text
    assert "\n  message              no disk\n" in text
    assert "\n  stackTrace\n    a\n    b\n" in text
    assert "\n  assertion  column  success\n  not_null   id      false\n" in text
    assert "\n  key            value   source\n  team\\u001b[1m  growth  dbt\n" in text
    assert "the old one" not in text


def test_every_facet_of_the_client_is_shown(make, log_of) -> None:
    """Each facet that the installed OpenLineage client knows is told in full by `show` of its run."""
    facets: dict[str, dict[str, object]] = {}
    for entity, key, name in SPECIFIED:
        facets.setdefault(entity, {})[key] = json.loads(Serde.to_json(instance(class_of(name))))
    data = make.dataset("d", **facets["dataset"]) | {"inputFacets": facets["input_dataset"]}
    made = make.dataset("m") | {"outputFacets": facets["output_dataset"]}
    said = {"run_facets": facets["run"], "job_facets": facets["job"]}
    log = log_of([make.run_event("COMPLETE", make.base, RUN, "j", **said, inputs=[data], outputs=[made])])
    told = [facet["value"] for facet in answers.show(log, RUN)["facets"]]
    sent = [value for found in facets.values() for value in found.values()]
    assert len(sent) > 35
    assert all(value in told for value in sent)
    for text in ("job:j", "dataset:d"):
        asked = shown(log, text)
        assert (0, True) == (asked.code, asked.text.count("\n\n") > 5)


def test_what_nothing_is_called_names_the_nearest(shop) -> None:
    """A name that is not known is answered with those that are like it."""
    said = "No model, dataset, job or run is called 'dbt.order'. Nearest: dbt.orders"
    with pytest.raises(NotFound, match=said):
        answers.show(shop, "dbt.order")
    with pytest.raises(NotFound, match="Nearest"):
        answers.show(shop, "job:nothing")


def test_a_part_of_two_ids_is_answered_with_both(make, log_of) -> None:
    """Where several runs have an id that begins or ends so, they are named, and none is taken."""
    runs = [make.run_event("COMPLETE", make.base, f"aaaaaa-{n}", "j") for n in (1, 2)]
    log = log_of(runs)
    with pytest.raises(NotFound, match="'aaaaaa' is not one run: aaaaaa-1, aaaaaa-2"):
        answers.show(log, "aaaaaa")
    assert "aaaaaa-1" == answers.show(log, "aaaa-1")["run"]["run_id"]

"""The path back where a file was written over, or nobody saw what it was read for."""

from datetime import timedelta

import pyarrow as pa
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.cli.answers import trace as command
from modeltrail_collector.cli.impact import impact
from modeltrail_collector.tables import reduce, schema


def path(node) -> list:
    """A tree as nested lists: name, the end of its run's id, inputs."""
    return [node["name"], node["run"] and node["run"]["run_id"][-3:], *map(path, node["inputs"])]


def in_place(make, *read: str | None):
    """Runs 000, 001, … that each read `d` with this content, or one they could not see, and write over it."""
    for n, content in enumerate(read):
        digest = "" if content is None else make.digest(content)
        fingerprint = {"algorithm": "sha256" if digest else "none", "digest": digest, "scope": "full"}
        use = make.facet("modelTrail_dataUse", role="train", fingerprint=fingerprint, capture="observed")
        version = make.facet("version", datasetVersion=make.digest("written"))
        yield make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", f"job {n}",
            inputs=[make.dataset("d", inputFacets__modelTrail_dataUse=use)] if n else [make.dataset("raw")],
            outputs=[make.dataset("d", version=version), make.dataset(f"m{n}")],
        )  # fmt: skip


def test_what_was_written_over_was_written_by_another_run(make, log_of) -> None:
    """A run that writes the same bytes over what it read did not make these: who wrote them before did."""
    log = log_of(in_place(make, "raw", "written", "written"))
    assert ["m2", "002", ["d", "001", ["d", "000", ["raw", None]]]] == path(answers.trace(log, "m2"))


def test_content_that_nobody_saw_goes_by_name_and_time(make, log_of) -> None:
    """Of a file that was written over unseen the last run before that wrote it is told, and marked so."""
    log = log_of(in_place(make, "raw", None))
    assert ["m1", "001", ["d", "000", ["raw", None]]] == path(answers.trace(log, "m1"))
    assert "m1" in {row.get("name") for row in answers.impact(log, "raw")}
    told = CliRunner().invoke(command, ["m1", "--log", log.uri], catch_exceptions=False).output
    assert "d  train · by name, content not recorded\n" in told
    first = log_of(list(in_place(make, "raw", None))[1:])
    assert ["m1", "001", ["d", None]] == path(answers.trace(first, "m1"))


def reading(make, number: int, inputs: dict[str, str], outputs: dict[str, list[str]]) -> dict:
    """A run: name -> role of what it read, name -> what that came of; `m` and digits is a model."""
    made = []
    kind = {"datasetType": make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")}
    for name, came in outputs.items():
        of = [{"namespace": "file", "name": each, "type": "DATASET"} for each in came]
        entry = {"namespace": "file", "name": name, "type": "DATASET", "inputs": of}
        made.append((make.dataset(name, **kind if name[0] == "m" else {}), entry))
    unseen = {"algorithm": "none", "digest": "", "scope": "none"}
    return make.run_event(
        "COMPLETE", make.base + timedelta(minutes=number), f"{number:06}", f"job {number}",
        inputs=[
            make.dataset(name, **kind if name[0] == "m" else {}, inputFacets__modelTrail_dataUse=make.facet(
                "modelTrail_dataUse", role=role, fingerprint=unseen, capture="observed"
            ))
            for name, role in inputs.items()
        ],
        outputs=[output for output, _ in made],
        job_facets={"lineage": make.facet("lineage", entries=[entry for _, entry in made])},
    )  # fmt: skip


def test_what_was_read_for_nobody_knows_what_is_a_possible_source(make, log_of) -> None:
    """Read with the role `other`: of models that nothing else leads to, or of data of runs without models."""
    log = log_of([
        reading(make, 0, {"raw": "other", "lookup": "other"}, {"d": ["raw"]}),
        reading(
            make, 1, {"d": "train", "c": "train", "held": "test", "ids": "other", "old": "other"},
            {"c": ["old"], "m1": ["d", "c"]},
        ),
    ])  # fmt: skip
    told = answers.trace(log, "m1")
    first = ["d", "000", ["raw", None], ["lookup", None]]
    assert ["m1", "001", ["c", "001", ["old", None]], first, ["ids", None]] == path(told)
    assert {"ids": True, "d": False, "c": False} == {one["name"]: one["possible"] for one in told["inputs"]}
    printed = CliRunner().invoke(command, ["m1", "--log", log.uri], catch_exceptions=False).output
    assert "ids  read by the run, use not seen" in printed
    reached = {
        asked: {row["name"]: row["possible"] for row in answers.impact(log, asked) if "possible" in row}
        for asked in ("raw", "lookup", "ids", "held", "old")
    }
    assert reached == {
        "raw": {"d": False, "m1": False}, "lookup": {"d": True, "m1": True}, "ids": {"m1": True}, "held": {},
        "old": {"c": False, "m1": False},
    }  # fmt: skip
    plan = (
        CliRunner().invoke(impact, ["ids", "--erase-plan", "--log", log.uri], catch_exceptions=False).output
    )
    assert ("withdraw\tm1" in plan, "Possible: " in plan) == (True, True)


def test_of_data_in_memory_alone_all_that_was_read_is_a_possible_source(make, log_of) -> None:
    """Where it was read is lost: what other models learned from it may be, and test data is not."""
    event = reading(
        *(make, 0, {"a": "train", "b": "test", "t/train": "train", "t/train-2": "train"}),
        {"m1": ["a", "t/train"], "m2": ["t/train-2"]},
    )
    for source in (
        event["inputs"],
        *(each["inputs"] for each in event["job"]["facets"]["lineage"]["entries"]),
    ):
        for each in source:
            each["namespace"] = "inmemory://" if each["name"].startswith("t/") else each["namespace"]
    for each in event["outputs"]:
        model = make.facet("modelTrail_model", modelId=f"Ridge-{each['name']}", capture="observed")
        each["facets"]["modelTrail_model"] = model
    log = log_of([event])
    assert ["m1", "000", ["a", None], ["t/train", None]] == path(answers.trace(log, "m1"))
    lost = answers.trace(log, "m2")
    assert ["m2", "000", ["t/train-2", None], ["a", None]] == path(lost)
    assert [(False, "train"), (True, "other")] == [(each["possible"], each["use"]) for each in lost["inputs"]]
    reached = {row["name"]: row["possible"] for row in answers.impact(log, "a") if "possible" in row}
    assert {"m1": False, "m2": True} == reached
    assert {"run"} == {row["kind"] for row in answers.impact(log, "b")}


def test_a_model_that_was_loaded_for_nobody_knows_what_is_a_possible_source(make, log_of) -> None:
    """Of data that its run wrote, if it is not known to be one of other data; not of a model beside it."""
    log = log_of([
        reading(make, 0, {"d": "train"}, {"m1": ["d"]}),
        reading(make, 1, {"t": "other", "m1": "other"}, {"scored": ["t"]}),
        reading(make, 2, {"t": "train", "m1": "other"}, {"m2": ["t"], "report": ["t"]}),
        reading(make, 3, {"t": "other", "m1": "other"}, {"sure": ["t", "m1"], "copy": ["t"]}),
    ])  # fmt: skip
    first = ["m1", "000", ["d", None]]
    assert ["scored", "001", ["t", None], first] == path(answers.trace(log, "scored"))
    assert {"t": False, "m1": True} == {
        one["name"]: one["possible"] for one in answers.trace(log, "scored")["inputs"]
    }
    for name, run in {"m2": "002", "report": "002", "copy": "003"}.items():
        assert [name, run, ["t", None]] == path(answers.trace(log, name))
    printed = CliRunner().invoke(command, ["scored", "--log", log.uri], catch_exceptions=False).output
    assert "read by the run, use not seen" in printed
    reached = [row for row in answers.impact(log, "m1") if "possible" in row]
    assert {"scored": True, "sure": False} == {row["name"]: row["possible"] for row in reached}


def test_a_module_that_was_loaded_may_have_taught_a_model(make, log_of) -> None:
    """A loaded model of which nobody sees what becomes is a possible source of its run's models."""
    event = reading(make, 1, {"t": "train", "m1": "other", "log": "other"}, {"m2": ["t"], "log": ["log"]})
    event["inputs"][1]["inputFacets"]["modelTrail_dataUse"]["followed"] = False
    event["inputs"][2]["inputFacets"]["modelTrail_dataUse"]["followed"] = True  # and it went into another
    log = log_of([reading(make, 0, {"d": "train"}, {"m1": ["d"]}), event])
    found = answers.trace(log, "m2")
    assert ["m2", "001", ["t", None], ["m1", "000", ["d", None]]] == path(found)
    assert [False, True] == [one["possible"] for one in found["inputs"]]
    reached = {row["name"]: row["possible"] for row in answers.impact(log, "d") if "possible" in row}
    assert {"m1": False, "m2": True} == reached


def test_what_a_run_says_may_have_gone_into_a_file_is_a_possible_source(make, log_of) -> None:
    """What a model learned from may be in a file of predictions, if its run says so, and in no other file."""
    event = reading(make, 0, {"t": "train", "u": "other"}, {"m": ["t"], "sent": ["u"], "else": ["u"]})
    use = event["inputs"][0]["inputFacets"]["modelTrail_dataUse"]
    use["possibleOutputs"] = [{"namespace": "file", "name": "sent"}, {"namespace": "file", "name": "gone"}]
    event["inputs"][1]["inputFacets"]["modelTrail_dataUse"]["possibleOutputs"] = use["possibleOutputs"]
    log = log_of([event])
    found = answers.trace(log, "sent")["inputs"]
    assert [("u", False), ("t", True)] == [(one["name"], one["possible"]) for one in found]
    assert ["u"] == [one["name"] for one in answers.trace(log, "else")["inputs"]]
    reached = {row["name"]: row["possible"] for row in answers.impact(log, "t") if "possible" in row}
    assert {"m": False, "sent": True} == reached


def test_a_sure_way_goes_before_a_possible_one(make, log_of) -> None:
    """What came of data for sure, on a longer way, is not only possible, nor is what came of that."""
    log = log_of([
        reading(make, 0, {"raw": "other"}, {"a": ["raw"]}),
        reading(make, 1, {"raw": "other", "b": "other", "a": "other"}, {"c": ["a"]}),
        reading(make, 2, {"c": "train"}, {"m2": ["c"]}),
    ])  # fmt: skip
    rows = [row for row in answers.impact(log, "raw") if "possible" in row]
    assert {"a": False, "c": False, "m2": False} == {row["name"]: row["possible"] for row in rows}
    assert 3 == len(rows)


def test_tables_of_an_older_version_are_walked_too(make, log_of, monkeypatch) -> None:
    """What was compacted before a run's inputs said what came of them is traced all the same."""
    events = [
        reading(make, 0, {"raw": "other"}, {"d": []}),
        reading(make, 1, {"d": "train", "e": "other"}, {"m1": ["d"]}),
    ]
    model = make.facet("modelTrail_model", modelId="first", capture="observed")
    events[1]["outputs"][0]["facets"]["modelTrail_model"] = model
    newer = schema.BY_RUN["run_datasets"]
    older = pa.schema([field for field in newer if field.name not in {"model_id", "part_ids", "made_of"}])
    with monkeypatch.context() as patch:
        for tables in (schema.DERIVED, reduce.FROM_FLAT):
            patch.setitem(tables, "run_datasets", older)
        log = log_of(events)
    found, model = answers.impact(log, "raw"), answers.trace(log, "m1")
    assert ["m1", "001", ["d", "000", ["raw", None]], ["e", None]] == path(model)
    assert model["run"]["told_apart"]
    rebuilt = log_of(events)
    assert (found, model) == (answers.impact(rebuilt, "raw"), answers.trace(rebuilt, "m1"))


def test_where_data_in_memory_came_from_may_not_be_known(make, log_of) -> None:
    """Of what came of data in memory alone it is said that nobody recorded where that came from."""
    use = make.facet("modelTrail_dataUse", role="train", capture="observed")
    rows = make.dataset("j/train", namespace="inmemory://", inputFacets__modelTrail_dataUse=use)
    runs = [
        make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", f"job {n}",
            inputs=inputs, outputs=[make.dataset(f"d{n}")],
        )
        for n, inputs in enumerate(([rows], [rows, make.dataset("raw")]))
    ]  # fmt: skip
    log = log_of(runs)
    assert ["memory", None] == [answers.trace(log, f"d{n}")["cut"] for n in range(2)]
    told = CliRunner().invoke(command, ["d0", "--log", log.uri], catch_exceptions=False).output
    assert "└─ where this came from was not recorded" in told


def test_a_writer_that_says_no_content_is_known_by_name(make, log_of) -> None:
    """That a run wrote what was read is told as known by name where it does not say what it wrote."""
    use = make.facet(
        "modelTrail_dataUse", role="train", capture="observed",
        fingerprint={"algorithm": "sha256", "digest": make.digest("d"), "scope": "full"},
    )  # fmt: skip
    read = make.dataset("d", inputFacets__modelTrail_dataUse=use)
    version = make.facet("version", datasetVersion=make.digest("d"))
    exported, said = make.dataset("d"), make.dataset("d", version=version)
    for output, line in ((exported, "by name: that run recorded no digest of it"), (said, "")):
        log = log_of([
            make.run_event("COMPLETE", make.base, "000000", "export", outputs=[output]),
            make.run_event(
                "COMPLETE", make.base + timedelta(hours=1), "000001", "train",
                inputs=[read], outputs=[make.dataset("m")],
            ),
        ])  # fmt: skip
        (node,) = answers.trace(log, "m")["inputs"]
        assert ("000", bool(line)) == (node["run"]["run_id"][-3:], node["by_name"])
        told = CliRunner().invoke(command, ["m", "--log", log.uri], catch_exceptions=False).output
        assert bool(line) == ("by name" in told)
        assert line in told


def going_on(make, number: int, before: str, after: str, **came: list[str]) -> dict:
    """A run that reads `d{number}` and `m` of these bytes, and writes over that; `came` says what of what."""
    event = reading(make, number, {f"d{number}": "train", "m": "train"}, came)
    bytes_read = {"algorithm": "sha256", "digest": make.digest(before), "scope": "full"}
    event["inputs"][1]["inputFacets"]["modelTrail_dataUse"]["fingerprint"] = bytes_read
    for each in event["outputs"]:
        content = make.facet("version", datasetVersion=make.digest(f"{each['name']} {after}"))
        each["facets"]["version"] = content
    return event


def test_a_model_that_went_on_from_itself_came_of_both(make, log_of) -> None:
    """What was loaded, trained on and saved in its place learned from all data; what is beside it as well."""
    first = going_on(make, 0, "", "1", m=["d0"])
    first["inputs"].pop()
    second = going_on(make, 1, "m 1", "2", m=["d1", "m"], m2=["m"])
    log = log_of([first, second, going_on(make, 2, "m 2", "3", m=["d2"])])
    old = ["m", "000", ["d0", None]]
    assert ["m", "001", ["d1", None], old] == path(answers.trace(log, f"m@{make.digest('m 2')[:12]}"))
    assert ["m2", "001", old] == path(answers.trace(log, "m2"))
    assert ["m", "002", ["d2", None]] == path(answers.trace(log, "m"))
    models = {make.digest(f"{name} {number}")[:12] for name, number in (("m", 1), ("m", 2), ("m2", 2))}
    reached = answers.impact(log, "d0")
    assert models == {row["version"] for row in reached if row["kind"] == "model"}
    assert ["000000", "000001", "000002"] == [row["run_id"] for row in reached if row["kind"] == "run"]
    shown = answers.show(log, f"m@{make.digest('m 2')[:12]}")
    assert {"d1", "m"} == {row["name"] for row in shown["data"]}


def test_of_two_models_of_a_run_each_came_of_what_is_said_of_it(make, log_of) -> None:
    """Bytes tell them apart, whatever another run registers one of them as."""
    event = going_on(make, 1, "", "1", m1=["d1"], m2=["m"])
    copy = make.facet("modelTrail_registration", name="copy", version="1", action="register")
    artifact = make.facet("modelTrail_modelArtifact", digest=make.digest("m2 1"), written=False)
    made = make.dataset(
        "models/copy", modelTrail_registration=copy, outputFacets__modelTrail_modelArtifact=artifact
    )
    later = make.base + timedelta(1)
    log = log_of([event, make.run_event("COMPLETE", later, "000002", "register", outputs=[made])])
    assert ["m1", "001", ["d1", None]] == path(answers.trace(log, "m1"))
    assert ["models/copy", "001", ["m", None]] == path(answers.trace(log, "copy@1"))
    assert {("m1", None), ("models/copy", "1")} >= {
        (row["name"], row["registered_name"] and row["version"])
        for row in (*answers.impact(log, "m"), *answers.impact(log, "d1"))
        if row["kind"] == "model"
    }


def gone_on_with(make, *contents: str):
    """Runs that each go on with what `m` held, write it anew and judge it; the first one learns from `d`."""
    for n, content in enumerate(contents):
        kind = {"datasetType": make.facet("datasetType", datasetType="MODEL", subType="ML_MODEL")}
        read = []
        for each, role in ((contents[n - 1], "train"), (content, "test")):
            fingerprint = {"algorithm": "sha256", "digest": make.digest(each), "scope": "full"}
            use = make.facet("modelTrail_dataUse", role=role, fingerprint=fingerprint, capture="observed")
            version = make.facet("version", datasetVersion=make.digest(each))
            read.append(make.dataset("m", **kind, version=version, inputFacets__modelTrail_dataUse=use))
        version = make.facet("version", datasetVersion=make.digest(content))
        came = [{"namespace": "file", "name": "m" if n else "d", "type": "DATASET"}]
        entry = {"namespace": "file", "name": "m", "type": "DATASET", "inputs": came}
        yield make.run_event(
            "COMPLETE", make.base + timedelta(minutes=n), f"{n:06}", f"job {n}",
            inputs=read if n else [make.dataset("d")], outputs=[make.dataset("m", **kind, version=version)],
            job_facets={"lineage": make.facet("lineage", entries=[entry])},
        )  # fmt: skip


def test_a_model_that_is_resumed_and_written_over_came_of_what_it_was(make, log_of) -> None:
    """A training that goes on with its checkpoint and writes it anew has the earlier one as its base."""
    log = log_of([*gone_on_with(make, "a", "b", "c")])
    told = answers.trace(log, f"m@{make.digest('c')[:12]}")
    assert ["m", "002", ["m", "001", ["m", "000", ["d", None]]]] == path(told)
    (base,) = told["inputs"]
    assert (make.digest("b"), "train") == (base["fingerprint"], base["use"])
    made = [row["name"] for row in answers.impact(log, "d") if row["kind"] == "model"]
    assert ["m"] * 3 == made
    for content, runs in (("b", ["000002"]), ("c", [])):
        found = answers.impact(log, f"m@{make.digest(content)[:12]}")
        assert runs == [row["run_id"] for row in found if row["kind"] == "run"]

"""What it takes to make a model version again, as far as it was said."""

import hashlib
import json
import re
from datetime import timedelta

import pytest
from click.testing import CliRunner

from modeltrail_collector import answers
from modeltrail_collector.answers import obstacles
from modeltrail_collector.answers.reproduce import _code
from modeltrail_collector.cli.recipe import print_recipe
from modeltrail_collector.cli.reproduce import reproduce
from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.tables.pairing import IN_MEMORY

DIFF = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
COMMIT = "3" * 40


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="session")
def recipe_of(make, log_of):
    """The recipe of model `m`, made by a run with these run facets, job facets and inputs."""

    def recipe_of(run_facets, inputs=(), job_facets=None, outputs=None):
        kind = make.facet("t", datasetType="MODEL", subType="ML_MODEL")
        model = make.dataset("/w/m.joblib", datasetType=kind)
        event = make.run_event(
            "COMPLETE",
            make.base,
            "r",
            "train",
            run_facets=run_facets,
            job_facets=job_facets,
            inputs=inputs,
            outputs=outputs or [model],
        )
        return answers.reproduce(log_of([event]), "m.joblib")

    return recipe_of


def code_of(**state):
    """The code of a recipe, and its problems, from fields of the code state."""
    code = _code({"dirty": True, "entryPoint": "train.py", "source": None, **state})
    return code, " ".join(obstacles._code_problems(code))


def test_the_story_is_a_recipe_with_places(churn, make) -> None:
    """Data, code, parameters and environment are told with how they were learned and in which record."""
    told = answers.reproduce(churn, "churn@3")
    assert told == json.loads(json.dumps(told))
    place = {"topic": "local", "topic_id": "local", "partition": 0, "offset": 11}
    data = told["data"][0]
    assert (make.digest("features 2"), "sha256", "full") == tuple(
        data["fingerprint"][key] for key in ("digest", "algorithm", "scope")
    )
    assert ("observed", place) == (data["capture"], data["source"])
    assert "prepare-churn" == data["made_by"]["job_name"]
    assert "prepare-churn wrote it" in data["how"]
    assert (COMMIT, "train.py", place) == tuple(
        told["code"][key] for key in ("commit", "entry_point", "source")
    )
    assert {"C": "0.1", "max_iter": "500"} == {row["name"]: row["value"] for row in told["params"]}
    assert [{"name": "scikit-learn", "version": "1.7.0", "install": "scikit-learn==1.7.0"}] == told[
        "environment"
    ]["packages"]
    assert make.digest("model 3") == told["artifact"]["digest"]
    assert "sklearn.linear_model.LogisticRegression" == told["training"]["algorithm"]


def test_the_writer_of_data_began_before_its_reader(make, log_of) -> None:
    """Of runs that wrote the same bytes that one is told which `trace` names, not one that came after."""
    hours = [make.base + timedelta(hours=number) for number in range(4)]
    before, later = (make.prepare(n, hours[h], raw="raw", features="features") for n, h in ((1, 1), (2, 3)))
    trained = make.train(1, hours[2], features="features", strength=1.0)
    log = log_of([*before, *trained, *later])
    told = answers.reproduce(log, "churn@1")["data"][0]
    first = before[0]["run"]["runId"]
    assert first == told["made_by"]["run_id"]
    assert f"run {first} of prepare-churn wrote it" in told["how"]
    assert first in {node["run"]["run_id"] for node in answers.trace(log, "churn@1")["inputs"]}


def test_what_nobody_said_is_named(churn) -> None:
    """A recipe lists what was not recorded, and what that stands in the way of; nothing is a default."""
    told = answers.reproduce(churn, "churn@3")
    assert {"code.command", "code.cwd", "code.diff", "seeds.numpy", "environment.hardware"} <= set(
        told["not_recorded"]
    )
    assert {False} == {seed["recorded"] for seed in told["seeds"]}
    assert {None} == {seed["value"] for seed in told["seeds"]}
    said = " ".join(problem["text"] for problem in told["problems"])
    assert "There were uncommitted changes, and they were not recorded." in said
    assert "How it was started was not recorded." in said


def test_a_foreign_producer_is_told_as_far_as_it_goes(make, recipe_of) -> None:
    """A plain OpenLineage event without a facet of ours still has data, commit, engine and parameters."""
    table = make.dataset(
        "wh/churn",
        namespace="s3://lake",
        version=make.facet("version", datasetVersion="7"),
        storage=make.facet("storage", storageLayer="delta"),
        dataSource=make.facet("dataSource", name="lake", uri="s3://lake/wh/churn"),
    )
    location = make.facet(
        "sourceCodeLocation",
        type="git",
        url="https://x",
        repoUrl="https://[redacted]@git.example/churn.git",
        version=COMMIT,
    )
    told = recipe_of(
        {
            "processing_engine": make.facet("processing_engine", version="3.11.2", name="Python"),
            "executionParameters": make.facet(
                "executionParameters", parameters=[{"key": "C", "name": "C", "value": "0.5"}]
            ),
        },
        [table],
        {"sourceCodeLocation": location},
    )
    assert "version 7 of the delta table at s3://lake/wh/churn" == told["data"][0]["how"]
    assert told["data"][0]["fingerprint"] is None
    code = told["code"]
    assert (COMMIT, "https://git.example/churn.git") == (code["commit"], code["location"]["repository"])
    assert (None, None, None) == (code["command"], code["entry_point"], code["dirty"])
    assert ("3.11.2", None) == (told["environment"]["python"], told["environment"]["packages"])
    assert ["0.5"] == [row["value"] for row in told["params"]]
    assert told["artifact"] is None
    assert {"training", "artifact", "environment.packages", "data.wh/churn.fingerprint"} <= set(
        told["not_recorded"]
    )
    assert 6 == len(told["problems"])
    unsure = (
        "Whether there were uncommitted changes was not recorded: other code than the commit's may have run."
    )
    assert {"text": unsure, "stops": False} in told["problems"]


def test_what_a_model_says_of_itself_is_told_without_a_facet_of_its_training(make, recipe_of, capsys) -> None:
    """A producer that only says the framework of its model has it in the recipe, with the record."""
    facets = {
        "datasetType": make.facet("d", datasetType="MODEL", subType="ML_MODEL"),
        "modelTrail_model": make.facet("m", framework="catboost", task="regression", capture="declared"),
    }
    told = recipe_of({}, outputs=[make.dataset("m.joblib", **facets)])
    assert ("catboost", "regression") == (told["training"]["framework"], told["training"]["task"])
    assert ("declared", 0) == (told["training"]["capture"], told["training"]["source"]["offset"])
    print_recipe(told, ["model"])
    assert re.search(r"framework +catboost\n", capsys.readouterr().out)


def test_a_fingerprint_of_an_unknown_kind_is_told_by_its_value(make, recipe_of, capsys) -> None:
    """Where nobody said how it was made there is no word before it."""
    digest = make.digest("raw")
    told = recipe_of({}, [make.dataset("/w/raw.csv", version=make.facet("v", datasetVersion=digest))])
    print_recipe(told, ["data"])
    assert f"fingerprint {digest[:12]}" in capsys.readouterr().out


def test_nothing_at_all_is_still_an_answer(recipe_of) -> None:
    """Of a model whose run said nothing every part is not recorded."""
    told = recipe_of({})
    assert (None, None, None, None) == tuple(told[key] for key in ("data", "code", "params", "environment"))
    assert {"data", "code", "params", "environment", "training", "artifact"} <= set(told["not_recorded"])


@pytest.mark.parametrize(
    ("state", "expected", "problem"),
    [
        ({"diff": DIFF, "diffSha256": sha256(DIFF)}, "whole", ""),
        ({"diff": DIFF, "diffSha256": sha256("x")}, "redacted", "secrets that were taken out"),
        ({"diff": DIFF, "diffSha256": sha256(DIFF), "diffTruncated": True}, "cut", "too long and were cut"),
        (
            {"diff": DIFF + "Binary files a/m and b/m differ\n",
             "diffSha256": sha256(DIFF + "Binary files a/m and b/m differ\n")},
            "binary", "Binary files",
        ),
        ({"dirty": False}, "none", ""),
        ({"dirty": True}, "not recorded", "they were not recorded"),
    ],
)  # fmt: skip
def test_a_diff_says_whether_it_can_be_applied(state, expected, problem) -> None:
    """Only a diff with the digest of the whole one can be applied; what is wrong with another is said."""
    code, problems = code_of(commit=COMMIT, root="/w", **state)
    assert expected == code.diff_state
    assert problem in problems
    assert ("diff" in problems) == (expected in {"redacted", "cut", "binary"})


@pytest.mark.parametrize(
    ("state", "command", "capture"),
    [
        ({"command": ["python", "-u", "t.py"], "argv": ["t.py"], "capture": "observed"},
         ["python", "-u", "t.py"], "observed"),
        ({"argv": ["t.py", "--x"]}, ["python", "t.py", "--x"], "inferred"),
        ({"argv": ["/w/t.py", "--x"], "entryPoint": "-m p.t"}, ["python", "-m", "p.t", "--x"], "inferred"),
        ({"argv": ["python3.11", "t.py"]}, ["python3.11", "t.py"], "inferred"),
        ({"argv": ["spark-submit"]}, None, None),
        ({"argv": []}, None, None),
        ({"argv": [5]}, None, None),
    ],
)  # fmt: skip
def test_the_command_is_as_said_or_concluded(state, command, capture) -> None:
    """The command line is the recorded one; without one it is concluded from the arguments, and says so."""
    code, _ = code_of(**state)
    assert (command, capture) == (code.command, code.command_capture)


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        ({}, "No commit was recorded"),
        ({"commit": "$(reboot)"}, "the commit is none"),
        ({"commit": COMMIT}, "Where the repository lies was not recorded"),
        ({"notebook": {"path": "/w/t.ipynb"}}, "notebook"),
        ({"entryPoint": "<interactive>"}, "interactive"),
        ({"command": ["python", "a\0b"]}, "NUL"),
    ],
)
def test_what_stands_in_the_way_is_said(state, problem) -> None:
    """Code that cannot be fetched, and what cannot be started again, are problems of the recipe."""
    assert problem in code_of(**state)[1]


def test_the_working_directory_is_relative_to_the_repository() -> None:
    """Where the program ran is told below the top of the working tree, where it lay in it."""
    assert "jobs/a" == code_of(root="/w", cwd="/w/jobs/a")[0].directory
    assert None is code_of(root="/w", cwd="/elsewhere")[0].directory
    assert None is code_of(root="/w", cwd="/w/../etc")[0].directory


def test_seeds_tell_unseeded_from_unsaid(make, recipe_of) -> None:
    """A generator that nobody seeded is not one of which nobody spoke."""
    training = make.facet(
        "modelTrail_training",
        framework="sklearn",
        frameworkVersion="1.7",
        algorithm="a",
        seeds={"numpy": 4, "framework": None},
        capture="observed",
    )
    training["seeds"]["framework"] = None
    variables = make.facet("environmentVariables", environmentVariables=[{"name": "TZ", "value": "UTC"}])
    told = recipe_of({"modelTrail_training": training, "environmentVariables": variables})
    assert {
        "python": (None, False),
        "numpy": (4, True),
        "framework": (None, True),
        "PYTHONHASHSEED": (None, True),
    } == {seed["name"]: (seed["value"], seed["recorded"]) for seed in told["seeds"]}
    assert {"TZ": "UTC"} == told["environment"]["variables"]


def test_only_what_an_index_has_is_installed(make, recipe_of) -> None:
    """A line of the requirements is a plain version or an https address; what could be an option is none."""
    packages = [
        {"name": "numpy", "version": "2.1", "source": "pypi"},
        {"name": "mine", "version": "1", "source": "editable"},
        {"name": "fork", "version": "1", "source": "git+https://git.example/fork@abc"},
        {"name": "--index-url=http://evil", "version": "1", "source": "pypi"},
        {"name": "a", "version": "1\n--index-url http://evil", "source": "pypi"},
        {"name": "b", "version": "1", "source": "https://git.example/b \n-r /etc/passwd"},
    ]
    facet = make.facet("modelTrail_environment", python={"version": "3.11.2"}, packages=packages)
    told = recipe_of({"modelTrail_environment": facet})["environment"]["packages"]
    assert ["numpy==2.1", None, "fork @ git+https://git.example/fork@abc", None, None, None] == [
        package["install"] for package in told
    ]


def test_of_many_untracked_files_five_are_named(make, recipe_of, capsys) -> None:
    """A person is told of the first five and how many more there are; `--json` has all."""
    files = [{"path": f"{number}.txt"} for number in range(7)]
    state = make.facet("modelTrail_codeState", dirty=False, vcs="git", commit="c0ffee", untracked=files)
    told = recipe_of({"modelTrail_codeState": state}, [], {})
    print_recipe(told, ["code"])
    assert "0.txt, 1.txt, 2.txt, 3.txt, 4.txt, and 2 more (--json)" in capsys.readouterr().out
    assert 7 == len(told["code"]["untracked"])


def test_untracked_files_that_nobody_looked_at_stand_in_the_way(make, recipe_of, capsys) -> None:
    """Of a list that was cut a recipe says how much is missing, as a problem and among the files."""
    state = make.facet(
        "modelTrail_codeState", vcs="git", commit=COMMIT, root="/w",
        untracked=[{"path": "a.py"}], untrackedTruncated=True, untrackedCount=52,
    )  # fmt: skip
    told = recipe_of({"modelTrail_codeState": state})
    left_out = "51 of 52 untracked files were not looked at"
    assert left_out == told["code"]["untracked_left_out"]
    assert any(problem["text"].startswith(left_out) for problem in told["problems"])
    print_recipe(told, ["code"])
    assert f"a.py, {left_out}" in capsys.readouterr().out


def test_what_is_needed_from_outside_of_the_repository_is_told(make, recipe_of, capsys) -> None:
    """Its modules are named with their content and stand in the way, as do files that nobody could see."""
    files = [{"name": "ourlib", "path": "/srv/ourlib.py", "sha256": make.digest("ourlib")}]
    state = make.facet(
        "modelTrail_codeState", vcs="git", commit=COMMIT, root="/w", elsewhere=files, elsewhereCount=3
    )
    told = recipe_of({"modelTrail_codeState": state})
    problems = [problem["text"] for problem in told["problems"]]
    assert "It needs ourlib, a file from outside of the repository: compared, and not brought." in problems
    assert "Not recorded: the content of 2 of 3 files from outside of the repository." in problems
    assert "Files that the code opens by a name that it puts together are not recorded." in problems
    print_recipe(told, ["code"])
    assert f"ourlib {make.digest('ourlib')[:12]}" in capsys.readouterr().out


def test_where_no_origin_was_seen_it_is_said(make, recipe_of) -> None:
    """Of data in memory of which nobody saw where it came from that stands in the way."""
    made = make.dataset("train/train", namespace=IN_MEMORY)
    problem = "Where its data came from was not recorded: the run was seen to read none."
    told = recipe_of({}, [made])
    assert "the run made it in memory; no other data is recorded that it read" == told["data"][0]["how"]
    assert problem in [each["text"] for each in told["problems"]]
    told = recipe_of({}, [made, make.dataset("/w/a.csv", namespace="file")])
    assert "from the other data" in told["data"][1]["how"] + told["data"][0]["how"]
    assert problem not in [each["text"] for each in told["problems"]]


def test_processes_that_train_together_are_not_started_by_the_command_of_one(make, recipe_of) -> None:
    """Below a launcher (`torchrun`) that is said; of a training that starts the others itself nothing is."""
    parent = make.facet(
        "parent",
        run={"runId": "01a2241e-a288-7245-9b8b-649e8de273b7"},
        job={"namespace": "ns", "name": "torch.distributed.run"},
    )

    def told(count, **above):
        together = {"worldSize": count, "rank": 0}
        training = make.facet("modelTrail_training", distributed=together, capture="observed")
        found = recipe_of({"modelTrail_training": training, **above})["problems"]
        return [each["text"] for each in found if "trained together" in each["text"]]

    assert told(1, parent=parent) == told(2) == []
    (problem,) = told(2, parent=parent)
    assert "one of 2 processes that trained together, below torch.distributed.run" in problem


def test_a_script_is_no_repository(make, recipe_of, capsys) -> None:
    """Where git knows no remote the repository is the working tree, and not the address of the script."""
    state = make.facet("modelTrail_codeState", vcs="git", commit=COMMIT, root="/w")
    script = make.facet("sourceCodeLocation", type="git", url="file:///w/pkg/train.py", path="pkg/train.py")
    print_recipe(
        recipe_of({"modelTrail_codeState": state}, job_facets={"sourceCodeLocation": script}), ["code"]
    )
    printed = capsys.readouterr().out
    assert "/w (it has no remote)" in printed
    assert "file:///w" not in printed


def test_what_the_run_writes_is_no_code(make, recipe_of) -> None:
    """A file that the run writes lay there untracked from the time before: to make it again needs none."""
    files = [{"path": path, "sha256": make.digest(path)} for path in ("m.joblib", "out/x.csv", "helper.py")]
    state = make.facet("modelTrail_codeState", root="/w", vcs="git", commit=COMMIT, untracked=files)
    place = {"namespace": "file", "name": "/w/m.joblib", "type": "LOCATION"}
    model = make.dataset(
        "models/m.joblib",
        datasetType=make.facet("t", datasetType="MODEL", subType="ML_MODEL"),
        symlinks=make.facet("s", identifiers=[place]),
    )
    table = make.dataset("/w/out/x.csv", namespace="file")
    told = recipe_of({"modelTrail_codeState": state}, outputs=[model, table])
    assert ["helper.py"] == [file["path"] for file in told["code"]["untracked"]]


def test_what_no_commit_is_known_of_is_not_called_unchanged(make, recipe_of, capsys) -> None:
    """A script that lies in no repository has no uncommitted changes, and no `no changes` either."""
    state = make.facet("modelTrail_codeState", dirty=False, sourceSha256=make.digest("train.py"))
    print_recipe(recipe_of({"modelTrail_codeState": state}), ["code"])
    told = capsys.readouterr().out
    assert "under no version control" in told
    assert "no changes" not in told


def test_broken_facets_are_told_as_far_as_they_go(make, recipe_of) -> None:
    """Facets that are kept although they break their schema never break the recipe."""
    odd = {"python": "3", "packages": {"a": 1}, "diff": 7, "untracked": [1, {}], "seeds": [1], "argv": {}}
    odd |= {"fingerprint": [], "environmentVariables": {"A": 1}, "dirty": "yes", "digest": {}, "repoUrl": {}}
    for broken in ([], "text", 5, odd):
        keys = ("environment", "codeState", "training", "hyperparameters")
        run = {f"modelTrail_{key}": broken for key in keys} | {"environmentVariables": broken}
        data = make.dataset("d", storage=broken, dataSource=broken, inputFacets__modelTrail_dataUse=broken)
        told = recipe_of(run, [data], {"sourceCodeLocation": broken})
        assert answers.script(told)
        assert None is told["data"][0]["fingerprint"]


def test_a_model_is_named_as_in_show(churn, make) -> None:
    """A digest names a version, registered or not; an unknown or ambiguous name is an error that helps."""
    assert "3" == answers.reproduce(churn, make.digest("model 3")[:10])["model"]["version"]
    with pytest.raises(NotFound, match=r"Nearest: models/churn|Nearest: churn"):
        answers.reproduce(churn, "chrun")


def ask(log, *arguments: str):
    return CliRunner().invoke(reproduce, [*arguments, "--log", log.uri], catch_exceptions=False)


def test_a_person_reads_not_recorded(churn) -> None:
    """For people each part is printed, and what nobody said as `not recorded`."""
    told = ask(churn, "churn@3").output
    assert "directory" in told
    for line in ("command", "hardware", "numpy", "branch"):
        assert f"{line}" in told
        assert "not recorded" in next(text for text in told.splitlines() if text.strip().startswith(line))
    assert "There were uncommitted changes, and they were not recorded." in told


def test_the_command_refuses_what_makes_no_sense(churn, tmp_path) -> None:
    """No model, --script beside --check, and a section that --check has not, are usage errors."""
    for arguments in (
        [],
        ["churn", "--script", "-", "--check", "now"],
        ["churn", "--check", "now", "--section", "params"],
    ):
        assert 2 == ask(churn, *arguments).exit_code
    taken = tmp_path / "taken.sh"
    taken.write_text("years of work")
    with pytest.raises(ConfigError, match="there already"):
        ask(churn, "churn", "--script", str(taken))
    assert "years of work" == taken.read_text()
    file = tmp_path / "recipe.json"
    for text in ("", "[]", "{}", '{"model": 5}'):
        file.write_text(text)
        with pytest.raises(ConfigError, match="no recipe"):
            CliRunner().invoke(reproduce, ["--recipe", str(file)], catch_exceptions=False)


def test_where_nothing_was_compared_it_is_not_said_that_it_is_the_same(make, log_of) -> None:
    """A check of a model of which nothing is known has compared nothing, and does not end with success."""
    model = make.dataset("m", datasetType=make.facet("d", datasetType="MODEL", subType="ML_MODEL"))
    log = log_of([make.run_event("COMPLETE", make.base, "r", "j", outputs=[model])])
    asked = ["m", "--check", ".", "--log", log.uri]
    found = CliRunner().invoke(reproduce, asked, standalone_mode=False, catch_exceptions=False)
    assert 1 == found.return_value
    assert "m@r: nothing could be compared" in found.output


def test_a_recipe_travels_as_json(churn, tmp_path) -> None:
    """What --json writes, --recipe reads: the same answer without the log, in one section too."""
    whole = ask(churn, "churn@3", "--json").output
    file = tmp_path / "recipe.json"
    file.write_text(whole)
    again = CliRunner().invoke(reproduce, ["--recipe", str(file), "--json"], catch_exceptions=False)
    assert json.loads(whole) == json.loads(again.output) == answers.reproduce(churn, "churn@3")
    assert ["problems", "not_recorded"] == list(
        json.loads(ask(churn, "churn@3", "--json", "--section", "problems").output)
    )

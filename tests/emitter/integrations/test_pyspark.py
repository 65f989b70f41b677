"""pyspark.ml on a real Spark: what a fit, an evaluation and a save leave in the events."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import modeltrail

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]
QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """A session of this process."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").appName("pyspark.ml")
    for key, value in QUIET.items():
        builder = builder.config(key, value)
    builder = builder.config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def folder(spark, tmp_path_factory):
    """A folder of Parquet with 200 orders."""
    rows = [(n, float(n * 7 % 90), float(n % 13), "ab"[n % 2], int(n * 7 % 90 > 40)) for n in range(200)]
    place = tmp_path_factory.mktemp("lake") / "orders"
    columns = "customer int, amount double, age double, kind string, churned int"
    spark.createDataFrame(rows, columns).write.parquet(str(place))
    return place


def pipeline(**values):
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import StandardScaler, StringIndexer, VectorAssembler

    return Pipeline(
        stages=[
            StringIndexer(inputCol="kind", outputCol="kind_index"),
            VectorAssembler(inputCols=["amount", "age", "kind_index"], outputCol="raw"),
            StandardScaler(inputCol="raw", outputCol="scaled"),
            LogisticRegression(featuresCol="scaled", labelCol="churned", **{"maxIter": 3, **values}),
        ]
    )


def facet(event, key):
    return event["run"]["facets"][f"modelTrail_{key}"]


def params(event):
    return {
        entry["name"]: (entry["value"], entry["origin"])
        for entry in facet(event, "hyperparameters")["params"]
    }


def inputs(event):
    return {each["name"]: each["inputFacets"].get("modelTrail_dataUse") for each in event["inputs"]}


def test_a_fit_says_what_it_learned_from(autolog, told, spark, folder):
    """The place that the frame was read from, the rows chosen of it, the columns that the model sees."""
    autolog("pyspark")
    train, _ = spark.read.parquet(str(folder)).filter("amount > 1").randomSplit([0.75, 0.25], seed=7)
    with modeltrail.run("train"):
        pipeline().fit(train)
    (event,) = told()
    (used,) = inputs(event).items()
    assert str(folder) == used[0]
    assert ("train", "churned", ["amount", "age", "kind"]) == (
        used[1]["role"],
        used[1]["labelColumn"],
        used[1]["features"],
    )
    assert {"strategy": "random", "seed": 7, "fraction": 0.75} == used[1]["split"]
    assert ("sha256-tree", "full", "observed") == (
        used[1]["fingerprint"]["algorithm"],
        used[1]["fingerprint"]["scope"],
        used[1]["capture"],
    )
    assert "TRAIN" == event["job"]["facets"]["jobType"]["jobType"]


def test_parameters_say_where_they_come_from(autolog, told, spark, folder):
    """Set ones are explicit, those of the call too, all others default; parts go by their class."""
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler

    autolog("pyspark")
    frame = spark.read.parquet(str(folder))
    model = LogisticRegression(labelCol="churned", maxIter=50)
    with modeltrail.run("train"):
        pipeline(regParam=0.25).fit(frame)
    with modeltrail.run("again"):
        assembled = VectorAssembler(inputCols=["amount", "age"], outputCol="features").transform(frame)
        model.fit(assembled, {model.maxIter: 2})
    first, second = told()
    assert (0.25, "explicit") == params(first)["LogisticRegression.regParam"]
    assert (1e-06, "default") == params(first)["LogisticRegression.tol"]
    assert ("kind", "explicit") == params(first)["StringIndexer.inputCol"]
    assert not {name for name in params(first) if "_" in name.partition(".")[0]}
    assert ((2, "explicit"), (0.0, "default")) == (params(second)["maxIter"], params(second)["regParam"])
    assert ["amount", "age"] == inputs(second)[str(folder)]["features"]


def test_training_and_its_course(autolog, told, spark, folder):
    """Framework, algorithm, task and seed; and the objective at each step."""
    from pyspark.ml.classification import RandomForestClassifier

    autolog("pyspark")
    frame = spark.read.parquet(str(folder))
    with modeltrail.run("train"):
        pipeline().fit(frame)
    with modeltrail.run("forest"):
        stages = [
            *pipeline().getStages()[:-1],
            RandomForestClassifier(seed=11, numTrees=2, labelCol="churned"),
        ]
        stages[-1].setFeaturesCol("scaled")
        pipeline().setStages(stages).fit(frame)
    linear, forest = told()
    found = facet(linear, "training")
    assert ("pyspark", "pyspark.ml.classification.LogisticRegression", "classification", "observed") == tuple(
        found[key] for key in ("framework", "algorithm", "task", "capture")
    )
    assert spark.version == found["frameworkVersion"]
    (last,) = [each for each in facet(linear, "metrics")["metrics"] if each["name"] == "objective"]
    assert (3, "train", "min") == (last["step"], last["split"], last["direction"])
    (series,) = told("RUNNING")
    values = [point["value"] for point in facet(series, "metricSeries")["points"]]
    assert (4, sorted(values, reverse=True)) == (len(values), values)
    assert 3 == found["steps"]
    assert {"framework": 11} == facet(forest, "training")["seeds"]


def test_steps_are_transformations(autolog, told, spark, folder):
    """Each step before the model: what it reads of the data or of another step, what it makes."""
    autolog("pyspark")
    with modeltrail.run("train"):
        pipeline().fit(spark.read.parquet(str(folder)))
    (event,) = told()
    steps = {step["id"]: step for step in facet(event, "featureTransformations")["steps"]}
    assert ["StringIndexer", "VectorAssembler", "StandardScaler"] == list(steps)
    source = {"namespace": "file", "name": str(folder)}
    assert [{**source, "columns": ["kind"]}] == steps["StringIndexer"]["inputs"]
    assert [
        {**source, "columns": ["amount", "age"]},
        {"step": "StringIndexer", "columns": ["kind_index"]},
    ] == steps["VectorAssembler"]["inputs"]
    assert ("train", None) == tuple(
        steps[name].get("fittedOn") for name in ("StandardScaler", "VectorAssembler")
    )
    assert "pyspark.ml.feature.StandardScaler" == steps["StandardScaler"]["op"]
    assert steps["StandardScaler"]["params"]["withStd"] is True


def test_a_search_is_one_fit(autolog, told, spark, folder):
    """Candidates are scores over steps, the best values parameters; the fits in its threads are not told."""
    from pyspark.ml.evaluation import BinaryClassificationEvaluator
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

    autolog("pyspark")
    steps = pipeline()
    grid = ParamGridBuilder().addGrid(steps.getStages()[-1].regParam, [0.01, 10.0]).build()
    search = CrossValidator(
        estimator=steps,
        estimatorParamMaps=grid,
        evaluator=BinaryClassificationEvaluator(labelCol="churned"),
        numFolds=2,
        seed=3,
        parallelism=2,
    )
    with modeltrail.run("search"):
        fitted = search.fit(spark.read.parquet(str(folder)))
    (event,) = told()
    metrics = {each["name"]: each["value"] for each in facet(event, "metrics")["metrics"]}
    assert max(fitted.avgMetrics) == metrics["best_areaUnderROC"]
    best = grid[fitted.avgMetrics.index(max(fitted.avgMetrics))]
    assert (next(iter(best.values())), "search") == params(event)["LogisticRegression.regParam"]
    assert (2, "explicit") == params(event)["numFolds"]
    (series,) = told("RUNNING")
    told_scores = [
        p["value"] for p in facet(series, "metricSeries")["points"] if p["name"] == "avg_areaUnderROC"
    ]
    assert list(fitted.avgMetrics) == told_scores
    assert 3 == len(facet(event, "featureTransformations")["steps"])


def test_a_score_of_a_search_is_one_of_its_best_model(autolog, told, spark, folder, tmp_path):
    """It is the search that predicts, and its best model that is saved afterwards."""
    from pyspark.ml.evaluation import BinaryClassificationEvaluator
    from pyspark.ml.tuning import ParamGridBuilder, TrainValidationSplit

    autolog("pyspark")
    train, test = spark.read.parquet(str(folder)).randomSplit([0.75, 0.25], seed=7)
    steps, judge = pipeline(), BinaryClassificationEvaluator(labelCol="churned")
    grid = ParamGridBuilder().addGrid(steps.getStages()[-1].regParam, [0.01, 10.0]).build()
    search = TrainValidationSplit(estimator=steps, estimatorParamMaps=grid, evaluator=judge, seed=3)
    with modeltrail.run("train"):
        found = search.fit(train)
        judge.evaluate(found.transform(test))
        found.bestModel.write().save(str(tmp_path / "best"))
    evaluation, trained = told()
    judged = {each["name"] for each in evaluation["inputs"] if "modelTrail_evaluation" in each["inputFacets"]}
    assert judged == {str(tmp_path / "best")} == {each["name"] for each in trained["outputs"]}


def test_a_score_is_an_evaluation_of_the_model(autolog, told, spark, folder, tmp_path):
    """The model that made the predictions, the rows they are of; in a run below the one that trains."""
    from pyspark.ml.evaluation import BinaryClassificationEvaluator

    autolog("pyspark")
    train, test = spark.read.parquet(str(folder)).randomSplit([0.75, 0.25], seed=7)
    judge = BinaryClassificationEvaluator(labelCol="churned")
    with modeltrail.run("train") as run:
        model = pipeline().fit(train)
        score = judge.evaluate(model.transform(test))
        judge.evaluate(model.transform(train))
        judge.evaluate(model.transform(test).filter("amount > 3"))
        model.write().overwrite().save(str(tmp_path / "model"))
        run.output_model(tmp_path / "model", name="churn")
    evaluations = [event for event in told() if event["job"]["name"] == "train.evaluate"]
    roles = []
    for event in evaluations:
        (place,) = [each for each in event["inputs"] if each["name"] == str(folder)]
        (judged,) = [each for each in event["inputs"] if each["name"] == "models/churn"]
        use, found = (
            place["inputFacets"]["modelTrail_dataUse"],
            judged["inputFacets"]["modelTrail_evaluation"],
        )
        roles.append((use["role"], use["split"]["fraction"], found["metrics"][0]["name"]))
        assert run.run_id == event["run"]["facets"]["parent"]["run"]["runId"]
        assert "observed" == found["capture"]
    assert [("test", 0.25, "areaUnderROC"), ("train", 0.75, "areaUnderROC")] == roles
    (event,) = [event for event in told() if event["job"]["name"] == "train"]
    (unknown,) = [each for each in facet(event, "metrics")["metrics"] if each["name"] == "areaUnderROC"]
    assert "max" == unknown["direction"]
    first = evaluations[0]["inputs"]
    assert [score] == [
        each["inputFacets"]["modelTrail_evaluation"]["metrics"][0]["value"]
        for each in first
        if "modelTrail_evaluation" in each.get("inputFacets", {})
    ]


def test_a_saved_model_is_the_run_s_output(autolog, told, spark, folder, tmp_path):
    """By all ways of saving, with what it is: framework, task, format and the digest of its folder."""
    autolog("pyspark")
    with modeltrail.run("train"):
        model = pipeline().fit(spark.read.parquet(str(folder)))
        model.save(str(tmp_path / "one"))
        model.stages[-1].write().save(str(tmp_path / "two"))
        model.stages[0].write().save(str(tmp_path / "indexer"))
        pipeline().save(str(tmp_path / "untrained"))
    (event,) = told()
    outputs = {Path(each["name"]).name: each for each in event["outputs"]}
    assert {"one", "two", "indexer"} == outputs.keys()
    for name in ("one", "two"):
        told_of = outputs[name]["facets"]["modelTrail_model"]
        assert ("pyspark", "spark-ml", "classification") == tuple(
            told_of[key] for key in ("framework", "format", "task")
        )
        assert "sha256-tree" == outputs[name]["outputFacets"]["modelTrail_modelArtifact"]["digestAlgorithm"]
    assert "modelTrail_model" not in outputs["indexer"]["facets"]
    edges = event["job"]["facets"]["lineage"]
    assert str(folder) in str(edges)


def test_without_a_run_each_makes_one(autolog, told, spark, folder, tmp_path):
    """Fit, evaluation and save of a model are runs that lead to each other; a transformer's fit is none."""
    from pyspark.ml.evaluation import BinaryClassificationEvaluator
    from pyspark.ml.feature import StringIndexer

    autolog("pyspark")
    frame = spark.read.parquet(str(folder))
    StringIndexer(inputCol="kind", outputCol="index").fit(frame)
    model = pipeline().fit(frame)
    judge = BinaryClassificationEvaluator(labelCol="churned")
    judge.evaluate(model.transform(frame))
    model.save(str(tmp_path / "model"))
    judge.evaluate(model.transform(frame))
    fit, before, save, after = told()
    (made,) = fit["outputs"]
    assert "inmemory://" == made["namespace"]
    assert made["name"].startswith(f"{model.uid}-")
    assert fit["job"]["name"].endswith(".LogisticRegression")
    assert [made["name"]] == [each["name"] for each in save["inputs"]]
    assert [str(tmp_path / "model")] == [each["name"] for each in save["outputs"]]
    assert made["name"] in {each["name"] for each in before["inputs"]}
    assert str(tmp_path / "model") in {each["name"] for each in after["inputs"]}
    assert {"EVALUATE"} == {each["job"]["facets"]["jobType"]["jobType"] for each in (before, after)}


def test_a_loaded_model_is_known_by_its_place(autolog, told, spark, folder, tmp_path):
    """An evaluation in a later program is of the model that lies there."""
    from pyspark.ml import PipelineModel
    from pyspark.ml.evaluation import BinaryClassificationEvaluator

    frame = spark.read.parquet(str(folder))
    pipeline().fit(frame).save(str(tmp_path / "model"))
    autolog("pyspark")
    loaded = PipelineModel.load(str(tmp_path / "model"))
    BinaryClassificationEvaluator(labelCol="churned").evaluate(loaded.transform(frame))
    (event,) = told()
    (judged,) = [each for each in event["inputs"] if "modelTrail_evaluation" in each.get("inputFacets", {})]
    assert str(tmp_path / "model") == judged["name"]


def test_what_frames_are_made_from(autolog, told, spark, folder, tmp_path):
    """Files, tables, both sides of a join, what a subquery asks; and that there is more, from memory."""
    from pyspark.sql import functions as fn

    autolog("pyspark")
    orders = spark.read.parquet(str(folder))
    orders.select("customer", fn.col("age").alias("years")).write.mode("overwrite").saveAsTable("people")
    orders.select("customer").limit(50).write.mode("overwrite").csv(str(tmp_path / "known"))
    spark.read.csv(str(tmp_path / "known")).createOrReplaceTempView("known")
    spark.createDataFrame(
        [(n, 1.0) for n in range(200)], "customer int, weight double"
    ).createOrReplaceTempView("w")
    orders.createOrReplaceTempView("orders")
    joined = "SELECT o.* FROM orders o JOIN people USING (customer)"
    queries = {
        "join": joined,
        "subquery": f"{joined} WHERE customer IN (SELECT _c0 FROM known)",
        "named": f"WITH chosen AS ({joined}) SELECT a.* FROM chosen a JOIN chosen b USING (customer)",
        "memory": f"{joined} JOIN w USING (customer)",
    }
    for name, query in queries.items():
        with modeltrail.run(name):
            pipeline().fit(spark.sql(query).cache())
    warehouse = spark.conf.get("spark.sql.warehouse.dir").removeprefix("file:")
    tables = {str(folder), f"{warehouse}/people"}
    expected = {"join": tables, "named": tables, "subquery": tables | {str(tmp_path / "known")}}
    expected["memory"] = tables | {"memory/train"}
    assert expected == {event["job"]["name"]: set(inputs(event)) for event in told()}


def test_a_share_is_told_of_rows_that_were_chosen_of_one_place(autolog, spark, folder):
    """Of a share of a share both are; not of rows that were put together first, or groups of chosen ones."""
    from modeltrail.integrations import _pyspark_plan as plan

    frame = spark.read.parquet(str(folder))
    half = frame.sample(fraction=0.5, seed=1)
    assert 0.5 == plan.read(half.filter("amount > 1").select("amount")).split["fraction"]
    drawn = plan.read(frame.sample(withReplacement=True, fraction=2.0, seed=1)).split
    assert {"strategy": "bootstrap", "seed": 1} == drawn
    first, last = ({"strategy": "random", "seed": seed, "fraction": 0.5} for seed in (1, 2))
    assert {**last, "earlier": [first]} == plan.read(half.sample(fraction=0.5, seed=2)).split
    others = [
        frame.join(frame.select("customer"), "customer").sample(fraction=0.5, seed=1),
        half.groupBy("kind").count(),
        half.limit(3),
        half.union(half),
        frame,
    ]
    assert [None] * len(others) == [plan.read(each).split for each in others]


def test_a_plan_without_end_is_looked_at_in_part(autolog, spark, folder, caplog):
    """What was put together in a loop is asked for its first leaves, and told to be more than these."""
    from modeltrail.integrations import _pyspark_plan as plan

    frame = spark.read.parquet(str(folder))
    for _ in range(10):
        frame = frame.union(frame)
    found = plan.read(frame)
    assert ((str(folder),), False) == (
        tuple(each.removeprefix("file:") for each in found.sources),
        found.is_whole,
    )


def test_a_model_that_is_not_local_is_named(autolog, told, spark, folder):
    """A frame of another file system has a name and its columns, though nothing can be looked at."""
    from modeltrail.integrations import _pyspark_plan as plan

    spark.sparkContext._jsc.hadoopConfiguration().set(
        "fs.viewfs.mounttable.lake.link./data", f"file://{folder.parent}"
    )
    frame = spark.read.parquet("viewfs://lake/data/orders")
    (source,) = plan.read(frame).sources
    assert ("viewfs://lake", "/data/orders") == source.identity
    assert ["customer", "amount", "age", "kind", "churned"] == [
        field["name"] for field in source.facets["schema"]["fields"]
    ]


def test_tables_of_others_cost_no_facts(autolog, told, spark, folder):
    """Of a source that is no file nothing is known but that it was read; parameters and steps are there."""
    from pyspark.sql.datasource import DataSource, DataSourceReader

    class Made(DataSource):
        @classmethod
        def name(cls):
            return "made"

        def schema(self):
            return "amount double, age double, kind string, churned int"

        def reader(self, schema):
            return Reader()

    class Reader(DataSourceReader):
        def read(self, partition):
            return ((float(n), float(n % 7), "ab"[n % 2], n % 2) for n in range(40))

    spark.dataSource.register(Made)
    autolog("pyspark")
    with modeltrail.run("train"):
        pipeline().fit(spark.read.format("made").load())
    (event,) = told()
    (used,) = inputs(event).items()
    assert ("train/train", "churned") == (used[0], used[1]["labelColumn"])
    assert (3, "explicit") == params(event)["LogisticRegression.maxIter"]


def test_files_by_the_second_version_of_sources(autolog, spark, folder):
    """A folder is known also where Spark reads it by its newer interface."""
    from modeltrail.integrations import _pyspark_plan as plan

    spark.conf.set("spark.sql.sources.useV1SourceList", "")
    try:
        found = plan.read(spark.read.parquet(str(folder)))
    finally:
        spark.conf.unset("spark.sql.sources.useV1SourceList")
    assert str(folder) == found.only.removeprefix("file:")


def test_a_path_is_that_of_spark_s_file_system(spark, folder):
    """Without a scheme it lies where Spark's default file system is, not on this machine."""
    from modeltrail import spark as ours

    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    before = hadoop.get("fs.defaultFS")
    hadoop.set("fs.viewfs.mounttable.lake.link./data", f"file://{folder.parent}")
    hadoop.set("fs.defaultFS", "viewfs://lake/")
    try:
        assert "viewfs://lake/data/churn" == ours.qualified("/data/churn")
    finally:
        hadoop.set("fs.defaultFS", before)
    assert f"file:{Path.cwd()}/churn" == ours.qualified("churn")


def test_the_host_s_exception_is_the_host_s(autolog, told, spark, folder):
    """A fit that fails raises what it would have raised, once; the run of its own is a failure."""
    from pyspark.errors import IllegalArgumentException

    autolog("pyspark")
    frame = spark.read.parquet(str(folder))
    with pytest.raises(IllegalArgumentException, match="nowhere"):
        pipeline(weightCol="nowhere").fit(frame)
    (event,) = told("FAIL")
    assert "nowhere" in event["run"]["facets"]["errorMessage"]["message"]
    assert [] == told("COMPLETE")


def test_several_models_of_one_call(autolog, told, spark, folder):
    """A fit with a list of parameters gives a list of models, and a run that says what they learned from."""
    autolog("pyspark")
    steps = pipeline()
    values = [{steps.getStages()[-1].maxIter: n} for n in (1, 2)]
    with modeltrail.run("train"):
        models = steps.fit(spark.read.parquet(str(folder)), values)
    assert [1, 2] == [model.stages[-1].getOrDefault("maxIter") for model in models]
    (event,) = told()
    assert [str(folder)] == list(inputs(event))


def test_columns_are_followed_pair_by_pair(autolog, told, spark, folder):
    """A stage that makes several columns of several makes each of its own: the label is no feature."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import StringIndexer, VectorAssembler

    autolog("pyspark")
    stages = [
        StringIndexer(inputCols=["kind", "churned"], outputCols=["k", "label"]),
        VectorAssembler(inputCols=["amount", "k"], outputCol="features"),
        LogisticRegression(maxIter=1),
    ]
    with modeltrail.run("train"):
        Pipeline(stages=stages).fit(spark.read.parquet(str(folder)))
    used = inputs(told()[0])[str(folder)]
    assert (["amount", "kind"], "churned") == (used["features"], used["labelColumn"])


def test_models_of_one_estimator_are_several(autolog, told, spark, folder):
    """Spark gives all of them one uid; each has a name of its own, by which its save is found."""
    autolog("pyspark")
    frame, steps = spark.read.parquet(str(folder)), pipeline()
    first, second = steps.fit(frame.filter("amount > 30")), steps.fit(frame)
    assert first.stages[-1].uid == second.stages[-1].uid
    names = [event["outputs"][0]["name"] for event in told()]
    assert 2 == len(set(names))


def test_what_is_fitted_already_learns_nothing(autolog, told, spark, folder):
    """A pipeline of fitted stages is put together for scoring: that is no training on its frame."""
    from pyspark.ml import Pipeline

    frame = spark.read.parquet(str(folder))
    fitted = pipeline().fit(frame)
    autolog("pyspark")
    Pipeline(stages=fitted.stages).fit(frame)
    with modeltrail.run("score"):
        Pipeline(stages=fitted.stages).fit(frame)
    (event,) = told()
    assert ([], None) == (event["inputs"], event["run"]["facets"].get("modelTrail_training"))


def test_what_the_winner_was_made_by(autolog, told, spark, folder):
    """A search over whole stages is told by the one that was chosen."""
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import DecisionTreeClassifier, LogisticRegression
    from pyspark.ml.evaluation import BinaryClassificationEvaluator
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.tuning import ParamGridBuilder, TrainValidationSplit

    autolog("pyspark")
    columns = {"labelCol": "churned", "featuresCol": "v"}
    assemble = VectorAssembler(inputCols=["amount"], outputCol="v")
    blind = VectorAssembler(inputCols=["age"], outputCol="v")
    bad = [blind, LogisticRegression(maxIter=1, **columns)]
    good = [assemble, DecisionTreeClassifier(maxDepth=4, **columns)]
    whole = Pipeline(stages=bad)
    grid = ParamGridBuilder().addGrid(whole.stages, [bad, good]).build()
    judge = BinaryClassificationEvaluator(labelCol="churned")
    search = TrainValidationSplit(estimator=whole, estimatorParamMaps=grid, evaluator=judge, seed=1)
    with modeltrail.run("search"):
        found = search.fit(spark.read.parquet(str(folder)))
    algorithm = (
        type(found.bestModel.stages[-1]).__name__.removesuffix("ClassificationModel").removesuffix("Model")
    )
    assert algorithm in facet(told()[0], "training")["algorithm"]
    assert "DecisionTree" == algorithm


def test_a_role_that_cannot_be_told_is_other(autolog, told, spark, folder):
    """Of rows of the same place, chosen by no sample, nobody knows; another model's training says nothing."""
    from pyspark.ml.evaluation import BinaryClassificationEvaluator

    autolog("pyspark")
    frame = spark.read.parquet(str(folder))
    part, _ = frame.randomSplit([0.5, 0.5], seed=1)
    judge = BinaryClassificationEvaluator(labelCol="churned")
    with modeltrail.run("train"):
        first, _ = pipeline().fit(frame.filter("age < 9")), pipeline().fit(part)
        judge.evaluate(first.transform(frame))
        judge.evaluate(first.transform(part))
    roles = [
        (use["role"], use.get("split", {}).get("fraction"))
        for event in told()
        if event["job"]["name"] == "train.evaluate"
        for use in [inputs(event)[str(folder)]]
    ]
    assert [("other", None), ("test", 0.5)] == roles


def test_a_part_that_fails_costs_no_other(spark, folder, events, told, caplog):
    """A stage of the host's that answers oddly: the run of our own ends all the same, with its model."""
    from pyspark.ml import Pipeline, Transformer
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler

    from modeltrail import guard, integrations

    class Odd(Transformer):
        def _transform(self, dataset):
            return dataset

        def extractParamMap(self, extra=None):  # noqa: N802  pyspark's name
            raise KeyError("odd")

    assemble = VectorAssembler(inputCols=["amount"], outputCol="features")
    stages = [Odd(), assemble, LogisticRegression(labelCol="churned", maxIter=1)]
    with modeltrail.testing.strict(on=False):
        modeltrail.autolog("pyspark")
        try:
            Pipeline(stages=stages).fit(spark.read.parquet(str(folder)))
        finally:
            integrations.deactivate()
    guard.reset()
    assert modeltrail.current_run() is None
    (event,) = told()
    assert [str(folder)] == list(inputs(event))
    assert 1 == len(event["outputs"])


def test_a_script_that_knows_nothing_of_us(tmp_path, inbox):
    """`modeltrail run` on an unchanged script: data, model and score are in the run of the script."""
    (tmp_path / "orders.csv").write_text("amount,churned\n" + "".join(f"{n},{n % 2}\n" for n in range(40)))
    (tmp_path / "train.py").write_text(
        textwrap.dedent("""
        from pyspark.ml.classification import LogisticRegression
        from pyspark.ml.evaluation import BinaryClassificationEvaluator
        from pyspark.ml.feature import VectorAssembler
        from pyspark.sql import SparkSession

        spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config(
            "spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
        orders = spark.read.csv("orders.csv", header=True, inferSchema=True)
        frame = VectorAssembler(inputCols=["amount"], outputCol="features").transform(orders)
        model = LogisticRegression(labelCol="churned", maxIter=2).fit(frame)
        BinaryClassificationEvaluator(labelCol="churned").evaluate(model.transform(frame))
        model.write().overwrite().save("churn")
        """)
    )
    command = [Path(sys.executable).with_name("modeltrail"), "run", "--", sys.executable, "train.py"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    events = [
        event for event in inbox(Path(os.environ["MODELTRAIL_LOG"])) if event["eventType"] == "COMPLETE"
    ]
    by_name = {event["job"]["name"]: event for event in events}
    assert {"train", "train.evaluate"} == by_name.keys()
    assert [str(tmp_path / "orders.csv")] == list(inputs(by_name["train"]))
    assert [str(tmp_path / "churn")] == [each["name"] for each in by_name["train"]["outputs"]]


def test_models_of_one_run_are_told_apart(autolog, told, spark, folder, tmp_path):
    """Each has its parameters, its training and its figures; of those of a fold no file has any."""
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import VectorAssembler

    autolog("pyspark")
    assembler = VectorAssembler(inputCols=["amount", "age"], outputCol="features")
    frame = assembler.transform(spark.read.parquet(str(folder))).cache()
    with modeltrail.run("two"):
        for number, strength in enumerate((0.5, 0.1, 0.2)):
            fitted = LogisticRegression(labelCol="churned", maxIter=1, regParam=strength).fit(frame)
            if number:
                fitted.write().save(str(tmp_path / str(number)))
    (event,) = told()
    ids = {
        Path(each["name"]).name: each["facets"]["modelTrail_model"]["modelId"] for each in event["outputs"]
    }
    assert {"1": "LogisticRegression-2", "2": "LogisticRegression-3"} == ids
    strengths = {
        each.get("modelId"): each["value"]
        for each in facet(event, "hyperparameters")["params"]
        if each["name"] == "regParam"
    }
    assert {
        "LogisticRegression-1": 0.5,
        "LogisticRegression-2": 0.1,
        "LogisticRegression-3": 0.2,
    } == strengths
    trained = {each["modelId"] for each in facet(event, "training")["models"]}
    assert {"LogisticRegression-1", *ids.values()} == trained
    measured = {each.get("modelId") for each in facet(event, "metrics")["metrics"]}
    assert {"LogisticRegression-1", *ids.values()} == measured


@pytest.mark.filterwarnings("ignore:The copy keyword")  # Spark 4.1 has not heard of pandas 3
@pytest.mark.parametrize("way", ["toPandas", "toArrow"])
def test_a_table_taken_out_of_spark_came_from_what_its_frame_was_read_from(autolog, told, spark, folder, way):
    """What is fitted on it in another library came of that place, and the share of its rows is told."""
    import joblib
    from sklearn.linear_model import LogisticRegression

    autolog()
    part, _ = spark.read.parquet(str(folder)).randomSplit([0.75, 0.25], seed=7)
    with modeltrail.run("train"):
        table = getattr(part, way)()
        table = table if way == "toPandas" else table.to_pandas()
        joblib.dump(
            LogisticRegression().fit(table[["amount"]], table["churned"]), folder.parent / f"{way}.joblib"
        )
    (event,) = told()
    (used,) = (use for name, use in inputs(event).items() if name == str(folder))
    assert ("train", ["amount"], "churned") == (used["role"], used["features"], used["labelColumn"])
    assert {"strategy": "random", "seed": 7, "fraction": 0.75} == used["split"]
    assert "sha256-tree" == used["fingerprint"]["algorithm"]

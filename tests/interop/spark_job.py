"""A Spark job with OpenLineage's listener, and a run of ours in its driver: `spark_job.py FOLDER CONF`."""

import json
import os
import sys

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession
from pyspark.sql import functions as fn

import modeltrail

folder, conf = sys.argv[1], json.loads(sys.argv[2])
builder = SparkSession.builder.master("local[2]").appName("Churn Features")
for key, value in conf.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")

orders = spark.read.csv(f"{folder}/orders.csv", header=True, inferSchema=True)
features = orders.groupBy("customer").agg(
    fn.avg("amount").alias("average"), fn.count("*").alias("orders"), fn.max("churned").alias("label")
)
features.write.mode("overwrite").parquet(f"{folder}/features")

with modeltrail.run("train-churn") as run:
    train = spark.read.parquet(f"{folder}/features")
    run.input(f"{folder}/features", role="train")
    steps = [
        VectorAssembler(inputCols=["average", "orders"], outputCol="features"),
        LogisticRegression(maxIter=3),
    ]
    model = Pipeline(stages=steps).fit(train)
    model.write().overwrite().save(f"{folder}/model")
    run.output_model(f"{folder}/model", name="churn-spark")

broken = fn.udf(lambda amount: 1 // 0, "int")
try:
    orders.select(broken("amount").alias("x")).write.mode("overwrite").parquet(f"{folder}/never")
except Exception as error:
    print("a query failed:", type(error).__name__)
if "LEAVES_OPEN" not in os.environ:
    spark.stop()

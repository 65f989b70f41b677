"""Features from the file that dbt wrote, by Spark: `spark_features.py FILE FOLDER`."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as fn

source, target = sys.argv[1:]
spark = SparkSession.builder.master("local[2]").appName("churn_features").getOrCreate()
orders = spark.read.parquet(source)
features = orders.withColumn("total", fn.col("average") * fn.col("orders")).filter("orders > 1")
features.write.mode("overwrite").parquet(target)
spark.stop()

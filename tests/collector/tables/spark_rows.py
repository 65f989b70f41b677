"""Run by Spark's own Python: all rows of Delta tables, a JSON object a line, `{"table": …, "row": …}`.

spark_rows.py JARS TABLE...
"""

import datetime as dt
import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession


def plain(value: object) -> object:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC).isoformat()
    if hasattr(value, "asDict"):
        return {name: plain(item) for name, item in value.asDict().items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def main(jars: str, *tables: str) -> None:
    builder = SparkSession.builder.master("local[2]").config(
        "spark.jars", ",".join(map(str, sorted(Path(jars).glob("*.jar"))))
    )
    delta = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
    for name, value in (
        ("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension"),
        ("spark.sql.catalog.spark_catalog", delta),
        ("spark.sql.session.timeZone", "UTC"),
        ("spark.sql.shuffle.partitions", "2"),
        ("spark.ui.enabled", "false"),
        ("spark.driver.bindAddress", "127.0.0.1"),
        ("spark.driver.host", "127.0.0.1"),
    ):
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    for table in tables:
        for row in spark.read.format("delta").load(table).collect():
            print(json.dumps({"table": Path(table).name, "row": plain(row)}))
    spark.stop()


main(*sys.argv[1:])

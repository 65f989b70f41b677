"""Reads a topic with OpenMetadata's own source; runs in its environment, which `make interop` installs.

    python openmetadata_source.py BOOTSTRAP_SERVERS TOPIC

One line of JSON for each event that it yields, with what it makes of that: the name of the pipeline, and for
each dataset the table or topic that it would look for. To look for them, and to write lineage, takes an
OpenMetadata server. The class's constructor asks for one too, so only what reads is set up here.
"""

import json
import sys

from metadata.generated.schema.entity.services.connections.pipeline.openlineage.kafkaBrokerConfig import Kafka
from metadata.ingestion.source.pipeline.openlineage.connection import _get_kafka_connection
from metadata.ingestion.source.pipeline.openlineage.metadata import OpenlineageSource

GROUP = "openmetadata"
QUIET_S = 3  # so long nothing came: the end


def looked_for(dataset: dict) -> list[str]:
    """The topic, or the tables with their schema and database, that a dataset may be in OpenMetadata."""
    if topic := OpenlineageSource._get_entity_details(dataset).topic_details:
        return [f"topic {topic.name}"]
    tables = (table for table, _ in OpenlineageSource._iter_table_candidates(dataset))
    return [f"table {' of '.join(filter(None, (t.name, t.schema, t.database)))}" for t in tables]


def all_looked_for(datasets: list[dict]) -> dict[str, list[str]]:
    """The same of each dataset, by its name."""
    return {dataset.get("name"): looked_for(dataset) for dataset in datasets}


def main(bootstrap_servers: str, topic: str) -> None:
    """Print what is read until nothing comes any more."""
    broker = Kafka(
        brokersUrl=bootstrap_servers,
        topicName=topic,
        consumerGroupName=GROUP,
        poolTimeout=1.0,
        sessionTimeout=QUIET_S,
    )
    source = object.__new__(OpenlineageSource)
    source.client, _ = _get_kafka_connection(broker)
    for event in source._poll_kafka(broker):
        try:
            told = {"pipeline": source.get_pipeline_name(event)}
            told |= {"inputs": all_looked_for(event.inputs), "outputs": all_looked_for(event.outputs)}
        except Exception as error:  # its own, of an event that it does not expect
            told = {"error": type(error).__name__}
        print(json.dumps({"job": event.job["name"], "state": event.event_type, **told}))


if __name__ == "__main__":
    main(*sys.argv[1:])

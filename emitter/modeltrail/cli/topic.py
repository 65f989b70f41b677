"""`modeltrail topic`: make the topic that events go to, with settings that keep them."""

import json
from collections.abc import Mapping
from typing import Any

import click

from modeltrail import settings
from modeltrail.cli import configured
from modeltrail.errors import ConfigError, DeliveryError
from modeltrail.transports.kafka_options import KafkaOptions
from modeltrail.transports.producer import OVERHEAD_BYTES, administration
from modeltrail_schemas.words import counted

DAY_MS = 24 * 60 * 60 * 1000
RETENTION_DAYS = 30
EXIT_NO = 1


@click.group()
def topic() -> None:
    """Make the Kafka topic that events go to.

    \b
    modeltrail topic create --bootstrap-servers localhost:9092
    modeltrail topic create --topic team.lineage --partitions 12 --replication-factor 3
    """


@topic.command()
@click.option("--bootstrap-servers", metavar="HOST:PORT,…", help="The brokers.  [default: as configured]")
@click.option("--topic", "name", help="Its name.  [default: as configured, else openlineage.events]")
@click.option(
    "--partitions",
    type=click.IntRange(1),
    default=6,
    show_default=True,
    help="How many collectors may share it.",
)
@click.option("--replication-factor", type=click.IntRange(1), help="Copies.  [default: the broker's]")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def create(
    context: click.Context,
    *,
    bootstrap_servers: str | None,
    name: str | None,
    partitions: int,
    replication_factor: int | None,
    as_json: bool,
) -> None:
    """Create the topic; what is there already stays as it is, and is looked at.

    Events are kept for 30 days whatever the broker's default, never compacted (the key is a job: compaction
    would keep only its last event), and may be as large as modeltrail sends them. Exit code 1: the topic is
    there and would lose events.

    \b
    modeltrail topic create --bootstrap-servers localhost:9092
    """
    now = settings.current()
    options = configured.kafka(now, bootstrap_servers, name)
    wanted = safe_settings(now.max_event_bytes)
    with administration(options) as admin:
        found = describe(admin, options.topic)
        created = found is None
        if found is None:
            _create(admin, options, partitions, replication_factor, wanted)
            found = describe(admin, options.topic)
        answer = _answer(options.topic, found or {}, topic_settings(admin, options.topic), created=created)
    faults = [] if created else weaknesses(answer["settings"], now.max_event_bytes)
    if not created and answer["partitions"] != partitions:
        click.echo(
            f"The topic has {counted(answer['partitions'], 'partition')}; it is left as it is.", err=True
        )
    click.echo(json.dumps(answer | {"warnings": faults}) if as_json else _text(answer))
    for fault in faults:
        click.echo(f"Warning: {fault}", err=True)
    if any("compact" in fault for fault in faults):
        context.exit(EXIT_NO)


def safe_settings(max_event_bytes: int) -> dict[str, str]:
    """The settings of a topic that keeps every event."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(RETENTION_DAYS * DAY_MS),
        "max.message.bytes": str(max_event_bytes + OVERHEAD_BYTES),
    }


def weaknesses(found: Mapping[str, str], max_event_bytes: int) -> list[str]:
    """What is wrong with a topic's settings, each with what to do."""
    faults = []
    if "compact" in found.get("cleanup.policy", ""):
        faults.append(
            "the topic is compacted (cleanup.policy=compact): Kafka deletes all but the last event of each "
            "job. Use another topic, or set cleanup.policy=delete"
        )
    largest = int(found.get("max.message.bytes", max_event_bytes))
    if largest < max_event_bytes:
        faults.append(
            f"the topic takes events up to {largest} bytes, modeltrail sends up to {max_event_bytes}: larger "
            f"ones stay in the spool. Set max.message.bytes={max_event_bytes + OVERHEAD_BYTES}"
        )
    return faults


def describe(admin: Any, name: str) -> dict[str, Any] | None:
    """What the brokers say of a topic (topic_id, partitions); None when it is not there.

    Raises:
        DeliveryError: The brokers refuse to say.
    """
    from kafka.errors import (
        KafkaError,
        NoError,
        TopicAuthorizationFailedError,
        UnknownTopicOrPartitionError,
        for_code,
    )

    try:
        found: dict[str, Any] = admin.describe_topics([name])[0]
    except KafkaError as error:
        raise DeliveryError(f"the brokers do not describe the topic {name}: {error}") from error
    problem = for_code(found["error_code"])
    if problem is UnknownTopicOrPartitionError:
        return None
    if problem is not NoError:
        mending = ". Your user needs the permission Write or Describe for it, and Create to make it"
        known = problem is TopicAuthorizationFailedError
        raise DeliveryError(
            f"the brokers do not describe the topic {name}: {problem.__name__}{mending if known else ''}"
        )
    return found


def topic_settings(admin: Any, name: str) -> dict[str, str]:
    """The settings of a topic that matter here, by their Kafka names.

    Raises:
        DeliveryError: The brokers refuse to say.
    """
    from kafka.admin import ConfigResource, ConfigResourceType
    from kafka.errors import KafkaError

    try:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    except KafkaError as error:
        raise DeliveryError(f"the brokers do not show the settings of the topic {name}: {error}") from error
    shown = found["topic"][name]
    return {key: str(shown[key]["value"]) for key in safe_settings(0) if key in shown}


def _create(
    admin: Any, options: KafkaOptions, partitions: int, replicas: int | None, wanted: dict[str, str]
) -> None:
    from kafka.admin import NewTopic
    from kafka.errors import KafkaError, TopicAlreadyExistsError

    new = NewTopic(options.topic, partitions, replicas or -1, topic_configs=wanted)
    try:
        admin.create_topics([new], wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return  # somebody else was faster
    except KafkaError as error:
        raise ConfigError(f"the brokers did not create the topic {options.topic}: {error}") from error


def _answer(
    name: str, found: Mapping[str, Any], shown: Mapping[str, str], *, created: bool
) -> dict[str, Any]:
    placed = found.get("partitions", [])
    return {
        "topic": name,
        "topic_id": found.get("topic_id"),
        "created": created,
        "partitions": len(placed),
        "replication_factor": len(placed[0]["replica_nodes"]) if placed else 0,
        "settings": dict(shown),
    }


def _text(answer: Mapping[str, Any]) -> str:
    lines = [f"{'Created' if answer['created'] else 'Already there:'} topic {answer['topic']}"]
    lines.append(f"  id                  {answer['topic_id']}")
    lines.append(f"  partitions          {answer['partitions']}")
    lines.append(f"  replication factor  {answer['replication_factor']}")
    lines += [f"  {name:<18}  {value}" for name, value in answer["settings"].items()]
    return "\n".join(lines)

"""The table of settings: their names, where each is read from, and what holds when nothing is set."""

import msgspec


class Option(msgspec.Struct, frozen=True):
    """One row of the table of settings.

    Attributes:
        name: The attribute of `Settings` and the keyword of `configure`.
        env: The environment variable.
        default: What holds when nothing is set, in words.
        help: One sentence.
    """

    name: str
    env: str
    default: str
    help: str


OPTIONS = (
    Option(
        "transport",
        "OPENLINEAGE__TRANSPORT__…",
        "the local inbox",
        "Where events go: an OpenLineage transport configuration with a `type`.",
    ),
    Option("namespace", "OPENLINEAGE_NAMESPACE", "default", "The namespace of this program's jobs."),
    Option("disabled", "OPENLINEAGE_DISABLED", "false", "`true` switches everything off."),
    Option(
        "strict", "MODELTRAIL_STRICT", "false", "Raise modeltrail's own failures instead of logging them."
    ),
    Option("log", "MODELTRAIL_LOG", "./lineage", "The directory of the log; its `inbox` takes local events."),
    Option(
        "spool",
        "MODELTRAIL_SPOOL",
        "~/.local/state/modeltrail/spool",
        "The directory that keeps events which could not be delivered.",
    ),
    Option(
        "max_event_bytes",
        "MODELTRAIL_MAX_EVENT_BYTES",
        "4000000",
        "A larger event is not sent to Kafka but kept in the spool, and reported.",
    ),
    Option(
        "spark_jars",
        "MODELTRAIL_SPARK_JARS",
        "none",
        "A class path with OpenLineage's Spark listener, which `modeltrail run` adds to Spark drivers.",
    ),
    Option(
        "subjects_key",
        "MODELTRAIL_SUBJECTS_KEY",
        "none",
        "The file of the secret key that makes pseudonyms of persons, for `run.input(data, subjects=…)`.",
    ),
    Option(
        "subjects_index",
        "MODELTRAIL_SUBJECTS_INDEX",
        "none",
        "The directory that takes the indexes of such pseudonyms.",
    ),
)

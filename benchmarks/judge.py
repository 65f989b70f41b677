"""Bytes -> verdict, in memory."""

import pickle
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import Prepare, Side, Table, compare


def tables(corpora: dict[str, Path], event_bytes: dict[str, float], *, rounds: int) -> list[Table]:
    """One table for each corpus."""
    return [
        compare(
            "judge",
            f"bytes -> verdict, {variant} corpus",
            [
                Side("modeltrail: judge (verdict, envelope, reasons)", f"{__name__}:ours", {"corpus": path}),
                Side(
                    "good Python: orjson + jsonschema-rs (yes or no)",
                    f"{__name__}:good_python",
                    {"corpus": path},
                ),
                Side(
                    "ceiling: corvus on bytes, formats too (yes or no)",
                    f"{__name__}:corvus_only",
                    {"corpus": path, "formats": True},
                ),
                Side(
                    "ceiling: corvus on bytes (yes or no)",
                    f"{__name__}:corvus_only",
                    {"corpus": path, "formats": False},
                ),
            ],
            rounds=rounds,
            event_bytes=event_bytes[variant],
        )
        for variant, path in corpora.items()
    ]


def _values(corpus: Path) -> list[bytes]:
    return [value for _, value in pickle.loads(corpus.read_bytes())]


def _each(values: list[bytes], judge: Callable[[bytes], object]) -> Prepare:
    def work() -> int:
        for value in values:
            judge(value)
        return len(values)

    work()  # what is made on first use is no cost of an event
    return lambda _directory: work


def ours(corpus: Path) -> Prepare:
    from modeltrail_collector.judge import judge

    return _each(_values(corpus), judge)


def good_python(corpus: Path) -> Prepare:
    """The same schemas, as a careful user would bundle them for jsonschema-rs."""
    import jsonschema_rs
    import orjson

    from modeltrail_collector.judge import schema

    validator = jsonschema_rs.Draft202012Validator(schema.event_schema("run"))
    return _each(_values(corpus), lambda value: validator.is_valid(orjson.loads(value)))


def corvus_only(corpus: Path, *, formats: bool) -> Prepare:
    import corvus_json_schema_rs as corvus

    from modeltrail_collector.judge import schema

    validator = corvus.compile(schema.event_schema("run"), assert_format=formats)
    return _each(_values(corpus), validator.is_valid_json)

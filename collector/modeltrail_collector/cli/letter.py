"""How one rejected record, and a replay of many, is told."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click
import msgspec

from modeltrail_collector.cli.output import print_rows
from modeltrail_schemas.printable import printable
from modeltrail_schemas.words import counted

SHOWN_BYTES: Final = 64 << 10


def print_letter(answer: Mapping[str, Any]) -> None:
    """All of a rejected record: what is known of it, then its value."""
    rows = list(_rows(answer))
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        click.echo(f"{label:{width}}  {printable(text)}".rstrip())
    if answer["value"]:
        click.echo()
        click.echo(_shown(answer["value"]))


def _rows(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "record", answer["record"]
    if answer["source"]:
        yield "source", answer["source"]
    yield "topic id", answer["topic_id"]
    yield "produced", answer["timestamp"] or f"{answer['timestamp_ms']} ms, which is no date"
    yield "collected", answer["ingested_at"]
    yield "sealed in", answer["segment"]
    yield "key", _text(answer["key"])
    for header in answer["headers"]:
        yield "header", f"{header.key} = {_text(header.value)}"
    yield from _judgement(f"rejected by {answer['judge_id']}", answer["reasons"])
    today = answer["today"]
    same = today["verdict"] == "rejected" and today["reasons"] == answer["reasons"]
    yield from _judgement(
        f"{today['verdict']} by {today['judge_id']}", () if same else today["reasons"], "today"
    )
    done = answer["replayed"]
    yield "replayed", f"{done['at']} as {done['record'] or 'a record that is gone'}" if done else "no"
    yield "sha256", answer["sha256"]
    yield "value", "null" if answer["value"] is None else counted(answer["size"], "byte")


def _judgement(summary: str, reasons: Sequence[Any], label: str = "verdict") -> Iterator[tuple[str, str]]:
    yield label, summary
    for reason in reasons:
        yield "", f"{reason.code} at {reason.path}: {reason.message}"


def _text(value: bytes | None) -> str:
    return "null" if value is None else value.decode(errors="backslashreplace")


def _shown(value: bytes) -> str:
    """Pretty where it is JSON, else as it is, but for what a terminal must not get."""
    text = value.decode(errors="backslashreplace")
    try:
        msgspec.json.decode(value)
        text = msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        pass
    lines = "\n".join(printable(line) for line in text[:SHOWN_BYTES].split("\n"))
    more = len(text) - SHOWN_BYTES
    return f"{lines}\n… and {more:,} characters more: --raw writes all of it" if more > 0 else lines


def print_replay(result: Any) -> None:
    """What a replay did; of a dry run also what becomes of each record."""
    if result.dry_run:
        outcomes = [*result.replayed, *result.rejected]
        rows = [{"record": one.record, "today": one.verdict, **_first(one.reasons)} for one in outcomes]
        print_rows(rows, ("record", "today", "code", "path", "message"), nothing="Nothing to replay.")
    verdicts = Counter(one.verdict for one in result.replayed)
    records = counted(len(result.replayed), "record")
    counts = f"{records} ({verdicts['accepted']:,} accepted, {verdicts['warned']:,} warned)"
    click.echo(f"{'Would replay' if result.dry_run else 'Replayed'} {counts}")
    if result.rejected:
        codes = Counter(_first(one.reasons)["code"] for one in result.rejected)
        said = ", ".join(f"{code} {count:,}" for code, count in codes.most_common())
        click.echo(f"Still rejected: {len(result.rejected):,} ({said})")
    if result.replayed_before:
        click.echo(f"Replayed before: {result.replayed_before:,}")
    if result.removed_segments:
        click.echo(
            f"Gone: what was rejected in {counted(result.removed_segments, 'segment')} that retention removed"
        )
    if result.replayed and not result.dry_run:
        click.echo("The tables do not know them yet: modeltrail compact", err=True)


def _first(reasons: Sequence[Any]) -> dict[str, str]:
    from modeltrail_collector.judge import cause

    return msgspec.structs.asdict(cause(reasons)) if reasons else {}

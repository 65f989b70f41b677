"""Which figures of a version moved more than a rule allows, paired with the other version's as `why` does."""

import itertools
from collections.abc import Iterator
from fnmatch import fnmatchcase
from operator import itemgetter

from modeltrail_collector.answers.database import Row
from modeltrail_collector.answers.rules import Metric
from modeltrail_collector.tables import pairing

_PAIR = itemgetter("namespace", "name", "version", "base_version", "subject")


def is_about(rule: object) -> bool:
    """Whether it is a rule about figures of two versions."""
    return isinstance(rule, Metric) and rule.below is None and rule.above is None


def found(rule: Metric, rows: list[Row]) -> Iterator[Row]:
    """The findings, from the figures of both versions (`is_now` of the later one)."""
    for key, group in itertools.groupby(sorted(rows, key=_PAIR), _PAIR):
        namespace, name, version, base_version, subject = key
        sides: tuple[list[pairing.Metric], list[pairing.Metric]] = ([], [])
        for row in group:
            sides[row["is_now"]].append(_metric(row))
        for was, now in pairing.figures(*sides):
            if was is None or now is None or not _is_asked(rule, now):
                continue
            if (bound := _bound(rule, was.value, now.value)) is None:
                continue
            where = ", ".join(part for part in (now.split, now.dataset, now.slice) if part)
            yield {
                "subject": subject, "finding": f"{now.name} {where}".rstrip(),
                "expected": f"{bound} (version {base_version}){_on_other_data(was, now)}",
                "actual": str(round(now.value or 0.0, 6)), "run_id": now.run_id,
                "namespace": namespace, "name": name, "version": version, "metric": now.name,
                "value": now.value, "dataset": now.dataset, "split": now.split, "slice": now.slice,
                "base_version": base_version, "base_value": was.value,
            }  # fmt: skip


def _metric(row: Row) -> pairing.Metric:
    content = pairing.content(row["place"], row["dataset"], row["fingerprint"], row["data_version"])
    source = "evaluation" if row["source"] == "evaluation" else "summary"
    told = {field: row[field] for field in ("value", "split", "dataset", "slice", "run_id")}
    return pairing.Metric(row["metric"], **told, source=source, namespace=row["place"], content=content)


def _is_asked(rule: Metric, one: pairing.Metric) -> bool:
    if rule.dataset is not None:
        patterns = (rule.dataset, f"*/{rule.dataset}")
        if not any(fnmatchcase(one.dataset or "", pattern) for pattern in patterns):
            return False
    if rule.split not in {None, one.split}:
        return False
    return one.slice is None if rule.slice is None else fnmatchcase(one.slice or "", rule.slice)


def _bound(rule: Metric, was: float | None, now: float | None) -> str | None:
    """What was to be expected; None where the figure is within it. One that is no number is not."""
    if was is None or now is None:
        return None
    delta, base = now - was, round(was, 6)
    if rule.moved_by is not None:
        return f"within {rule.moved_by} of {base}" if not abs(delta) <= rule.moved_by else None
    if rule.fell_by is not None:
        return f"at most {rule.fell_by} below {base}" if not -delta <= rule.fell_by else None
    return f"at most {rule.rose_by} above {base}" if not delta <= (rule.rose_by or 0.0) else None


def _on_other_data(was: pairing.Metric, now: pairing.Metric) -> str:
    same = pairing.same_content(was.content, now.content)
    differs = same is False or (same is None and was.dataset != now.dataset)
    return ", on other data" if differs else ""

"""What rules find in the tables now, each finding with its evidence."""

import json
import re
import tempfile
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import duckdb
import msgspec

from modeltrail_collector import scratch
from modeltrail_collector.answers import forbidden, moved, registry
from modeltrail_collector.answers.database import Database, Row, database
from modeltrail_collector.answers.endpoints import deployed, in_force
from modeltrail_collector.answers.places import Places
from modeltrail_collector.answers.rules import (
    AnyRule,
    Drift,
    Forbidden,
    Metric,
    Rules,
    Sql,
    Stalled,
    Unregistered,
    seconds,
)
from modeltrail_collector.answers.statements import sql_of
from modeltrail_collector.answers.why.drift import compare
from modeltrail_collector.errors import ConfigError, NotFound
from modeltrail_collector.log import Log, open_log

NAMESPACE: Final = "modeltrail://alerts"
"""The job namespace of the runs that tell of alerts; no rule sees them."""

MANY: Final = 50
"""Findings of one rule that are told one by one; more are told as one."""

_IDS: Final = uuid.uuid5(uuid.NAMESPACE_URL, NAMESPACE)
_OWN: Final = ("subject", "finding", "expected", "actual", "run_id")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule found.

    `subject` is whom it is about, `finding` what; the two and the rule's name make it the same finding from
    day to day, while `actual` may change. `facts` are the other columns of the query's row, `source` names
    the last record of the run that said so.
    """

    rule: str
    kind: str
    severity: str
    subject: str
    finding: str
    expected: str | None = None
    actual: str | None = None
    run_id: str | None = None
    source: Row | None = None
    facts: Row = {}

    @property
    def key(self) -> str:
        """The same for the same finding, whenever it is looked for."""
        return str(uuid.uuid5(_IDS, json.dumps([self.rule, self.subject, self.finding])))

    @property
    def message(self) -> str:
        """One sentence for people."""
        expected = f", expected {self.expected}" if self.expected else ""
        return f"{self.subject}: {self.finding}" + (f": {self.actual}{expected}" if self.actual else "")


class Found(msgspec.Struct, frozen=True):
    """What rules found, and why a rule could not be asked (by its name)."""

    findings: list[Finding]
    failed: dict[str, str]


def alert(of: Log | Database, rules: Rules, *, now: datetime | None = None) -> list[Finding]:
    """What these rules find now. Raises ConfigError for a rule whose SQL the database refuses."""
    found = evaluate(of, rules, now=now)
    for name, problem in found.failed.items():
        raise ConfigError(f"rule {name!r} cannot be asked: {problem}")
    return found.findings


def evaluate(of: Log | Database, rules: Rules, *, now: datetime | None = None) -> Found:
    """What these rules find now; one that fails does not keep the others from being asked."""
    findings: list[Finding] = []
    failed: dict[str, str] = {}
    with database(of, held=True) as db:
        _fill_serving(db)
        for rule in rules.rule:
            places = Places(db)
            try:
                found = _judged(db, rule, _ask(db, rule, now or datetime.now(UTC), places), places)
            except (duckdb.Error, ConfigError, NotFound) as error:
                failed[rule.name] = str(error).strip()
            else:
                findings += [_finding(rule, row) for row in found]
        return Found(_with_sources(db, findings), failed)


def check(rules: Rules) -> None:
    """Ask each rule over empty tables. Raises ConfigError with what the database says of its SQL."""
    with tempfile.TemporaryDirectory(dir=scratch.folder()) as nothing:
        alert(open_log(nothing), rules)


def summarised(findings: Iterable[Finding]) -> list[Finding]:
    """The findings as they are told: a rule that has more than 50 is told as one that counts them."""
    by_rule: dict[str, list[Finding]] = {}
    for one in findings:
        by_rule.setdefault(one.rule, []).append(one)
    told: list[Finding] = []
    for name, found in by_rule.items():
        if len(found) <= MANY:
            told += found
            continue
        told.append(
            Finding(
                **{field: getattr(found[0], field) for field in ("rule", "kind", "severity")},
                subject=name,
                finding=f"more than {MANY} findings",
                actual=f"{len(found):,}",
                facts={"first": [one.message for one in found[:10]]},
            )
        )
    return told


def plain(one: Finding) -> dict[str, Any]:
    """A finding as JSON, with its key and its sentence."""
    return {"key": one.key, "message": one.message, **msgspec.structs.asdict(one)}


def _ask(db: Database, rule: AnyRule, now: datetime, places: Places) -> list[Row]:
    name = "moved" if moved.is_about(rule) else f"rule_{_kind(rule)}"
    body = rule.query if isinstance(rule, Sql) else sql_of(name)
    if isinstance(rule, Sql):
        statements = db.connection.extract_statements(body)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise ConfigError("its query is not one SELECT")
        body = body.strip().rstrip(";")
    if isinstance(rule, Forbidden):
        forbidden.fill_reached(db, rule, places)
    if isinstance(rule, Unregistered):
        registry.fill_deleted(db)
    query = f"WITH {sql_of('rule_views')} found AS (\n{body}\n) FROM found ORDER BY ALL"
    given: dict[str, object] = {"model": "*", "versions": "all", "against": "previous", "metric": None}
    given |= {} if isinstance(rule, Sql) else msgspec.structs.asdict(rule)
    given |= {"now": now.isoformat(), "after_s": seconds(rule.after) if isinstance(rule, Stalled) else None}
    used = {name: value for name, value in given.items() if re.search(rf"\${name}\b", query)}
    return db.rows(query, **used)


def _kind(rule: AnyRule) -> str:
    return str(rule.__struct_config__.tag)


def _finding(rule: AnyRule, row: Row) -> Finding:
    """A row of the rule's query as a finding: what a query of a user's own leaves out is made up here."""
    facts = {name: value for name, value in row.items() if name not in _OWN}
    said: Row = {name: None if row.get(name) is None else str(row[name]) for name in _OWN}
    whole = json.dumps(facts, sort_keys=True, default=str)
    if said["subject"] is None:
        said["subject"] = whole
    elif isinstance(rule, Sql) and said["actual"] is None and facts:
        said["actual"] = whole
    said["finding"] = said["finding"] or "found"
    return Finding(
        rule=rule.name, kind=_kind(rule), severity=rule.severity,
        facts=facts, **said,
    )  # fmt: skip


def _fill_serving(db: Database) -> None:
    """Make table `serving`: which model versions are in force at which endpoints."""
    names = ("run_id", "endpoint", "environment", "namespace", "name", "version", "digest")
    columns = ("run_id", "endpoint", "environment", *(f"model_{name}" for name in names[3:]))
    db.fill("serving", names, [tuple(row[name] for name in columns) for row in in_force(deployed(db))])


def _judged(db: Database, rule: AnyRule, rows: list[Row], places: Places) -> list[Row]:
    """The rows that are findings: of two kinds the query finds candidates, which are looked at here."""
    match rule:
        case Forbidden():
            return forbidden.confirmed(db, rule, rows, places)
        case Metric() if moved.is_about(rule):
            return [*moved.found(rule, rows)]
        case Drift():
            return [found for row in rows for found in _drifted(rule, row)]
        case _:
            return rows


def _drifted(rule: Drift, row: Row) -> list[Row]:
    """The columns of a pair of profiles whose PSI is above the rule and chance; or what was measured."""
    if row["before"] is None:
        return [{name: value for name, value in row.items() if name not in ("before", "after")}]
    before, after = (json.loads(row.pop(side)) for side in ("before", "after"))
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    return [
        row
        | {
            "finding": f"PSI of {one.column} in {row['dataset']}",
            "actual": f"{one.psi:.4g}",
            "expected": f"at most {rule.psi_above:g} against version {row['base_version']}",
            "column": one.column,
            "psi": one.psi,
            "psi_by_chance": one.psi_by_chance,
        }
        for one in compare(before, after)
        if one.psi is not None
        and one.psi > max(rule.psi_above, one.psi_by_chance or 0.0)
        and fnmatchcase(one.column, rule.column)
    ]


def _with_sources(db: Database, findings: list[Finding]) -> list[Finding]:
    """The findings with the last record of their run: topic, partition and offset in the log."""
    rows = db.read(
        "events",
        'run_id, topic, topic_id, "partition", "offset"',
        runs={one.run_id for one in findings if one.run_id},
        where="NOT duplicate",
        then="""QUALIFY
            row_number() OVER (PARTITION BY run_id ORDER BY event_time DESC, "offset" DESC) = 1""",
    )
    places = {row.pop("run_id"): row for row in rows}
    return [msgspec.structs.replace(one, source=places.get(one.run_id or "")) for one in findings]

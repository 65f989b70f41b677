"""Rules about something that nothing in the log is called: they stay silent, and look as if all were well."""

import difflib
from collections.abc import Iterable

from modeltrail_collector.answers.database import Database
from modeltrail_collector.answers.rules import Drift, Metric, OfModels, Rules


def unheard(db: Database, rules: Rules) -> list[str]:
    """A sentence for each rule about a metric, model or version that is nowhere, with the nearest names."""
    asked = [rule for rule in rules.rule if isinstance(rule, OfModels)]
    if not asked:
        return []
    db.attach("metrics", "models")
    return [
        f"rule {rule.name!r} cannot fire: {why}"
        for rule in asked
        if (why := _of_metric(db, rule) or _of_model(db, rule) or _of_version(db, rule))
    ]


def _of_metric(db: Database, rule: OfModels) -> str:
    if not isinstance(rule, Metric):
        return ""
    known = {row["name"] for row in db.rows("SELECT DISTINCT name FROM metrics WHERE name IS NOT NULL")}
    return (
        "" if rule.metric in known else f"no run told of a metric {rule.metric!r}.{_near(rule.metric, known)}"
    )


def _of_model(db: Database, rule: OfModels) -> str:
    found = db.rows("SELECT DISTINCT coalesce(registered_name, name) AS name FROM models")
    known = {row["name"] for row in found}
    if not known or rule.model == "*" or _versions(db, rule):
        return ""
    return f"no model is called {rule.model!r}.{_near(rule.model, known)}"


def _of_version(db: Database, rule: OfModels) -> str:
    against = rule.against if isinstance(rule, Metric | Drift) else "previous"
    known = _versions(db, rule)
    if against == "previous" or not known or against in known:
        return ""
    of = "no model" if rule.model == "*" else f"no model {rule.model!r}"
    return f"{of} has a version or alias {against!r}.{_near(against, known)}"


def _versions(db: Database, rule: OfModels) -> set[str]:
    """What the versions are called that a rule may be about."""
    found = db.rows(
        "SELECT version, aliases FROM models WHERE name GLOB $model OR registered_name GLOB $model",
        model=rule.model,
    )
    return {name for row in found for name in (row["version"], *(row["aliases"] or ())) if name is not None}


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f" Nearest: {', '.join(near)}." if near else ""

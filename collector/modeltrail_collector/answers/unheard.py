"""Rules about something that nothing in the log is called: they stay silent, and look as if all were well."""

import difflib
from collections.abc import Iterable

from modeltrail_collector.answers.database import Database
from modeltrail_collector.answers.rules import Metric, Rules


def unheard(db: Database, rules: Rules) -> list[str]:
    """A sentence for each rule about a metric that no run ever told of, with the nearest names."""
    asked = [rule for rule in rules.rule if isinstance(rule, Metric)]
    if not asked:
        return []
    db.attach("metrics")
    known = {row["name"] for row in db.rows("SELECT DISTINCT name FROM metrics WHERE name IS NOT NULL")}
    return [
        f"rule {rule.name!r} cannot fire: no run told of a metric {rule.metric!r}.{_near(rule.metric, known)}"
        for rule in asked
        if rule.metric not in known
    ]


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f" Nearest: {', '.join(near)}." if near else ""

"""What people say about a model: a file that they keep under version control, or facts declared in the log.

A file is TOML or YAML::

    model = "churn"                       # optional: another model's report refuses the file

    [[statement]]
    topic = "intended_use"                # one of TOPICS
    text = "Ranks customers for a call."
    author = "Ada Example"
    date = 2026-03-01
    link = "https://…"                    # optional: a document that says it in full
    versions = ["3"]                      # optional: of the model; without it all
"""

import datetime as dt
import difflib
import hashlib
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.reports.document import Statement

TOPICS: Final = {
    "description": "What the model is, in a few words",
    "intended_use": "Intended purpose",
    "out_of_scope": "Uses it is not meant for",
    "users": "Who is meant to use it, and on whom",
    "provider": "Provider: who answers for it",
    "owner": "Owner",
    "license": "Licence",
    "interactions": "Interaction with other hardware, software and AI systems",
    "update_requirements": "Requirements on version updates",
    "forms_on_market": "Forms in which it is placed on the market or put into service",
    "target_hardware": "Hardware it is meant to run on",
    "product_illustrations": "Product of which it is a part: illustrations, marking, layout",
    "user_interface": "User interface given to the deployer",
    "instructions_for_use": "Instructions for use",
    "third_party_components": "How pre-trained systems and tools of others were used or changed",
    "design_choices": "General logic, key design choices, rationale and assumptions",
    "optimised_for": "What it is optimised for; relevance of the parameters",
    "trade_offs": "Trade-offs made to meet the requirements",
    "expected_output": "Expected output and its quality",
    "architecture": "How the system's parts build on each other",
    "data_collection": "How the data was obtained and selected",
    "labelling": "How the data was labelled",
    "data_cleaning": "How the data was cleaned",
    "human_oversight": "Human oversight measures",
    "predetermined_changes": "Changes determined in advance",
    "validation_procedure": "How it was validated and tested",
    "discriminatory_impact": "Potentially discriminatory impact",
    "test_sign_off": "Who signed the test reports",
    "cybersecurity": "Cybersecurity measures",
    "limitations": "Capabilities and limitations",
    "risks": "Foreseeable unintended outcomes and sources of risk",
    "input_specification": "Specification of the input data",
    "metric_rationale": "Why these metrics are appropriate",
    "risk_management": "Risk management system",
    "standards": "Harmonised standards that were applied",
    "declaration_of_conformity": "EU declaration of conformity",
    "post_market_monitoring": "Post-market monitoring plan",
    "ethics": "Ethical considerations",
    "factors": "Relevant groups, instruments and environments",
    "caveats": "Caveats and recommendations",
    "sensitive_data": "Personal or sensitive data in the training data",
}
"""What can be stated, and how it is called."""

_CARD: Final = {
    "intendedUse": "intended_use",
    "outOfScope": "out_of_scope",
    "limitations": "limitations",
    "ethics": "ethics",
    "users": "users",
}

Said = dict[str, tuple[Statement, ...]]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file of statements: its name, the SHA-256 of its bytes, and the commit that it is of.

    `commit` is the last one that changed it, None outside a git repository; `changed` says that the file is
    not as it was committed.
    """

    name: str
    sha256: str
    commit: str | None
    changed: bool
    statements: tuple[Statement, ...]


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    topic: str
    text: str
    author: str
    date: str
    link: str | None = None
    versions: tuple[str, ...] | None = None


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    statement: tuple[_Entry, ...]
    model: str | None = None


def read(path: Path, model: str, version: str) -> File:
    """The statements of a file that speak of this version.

    Raises ConfigError for a file that cannot be read or speaks of another model.
    """
    try:
        data = path.read_bytes()
        loaded = tomllib.loads(data.decode()) if path.suffix == ".toml" else yaml.safe_load(data)
        content = msgspec.convert(msgspec.to_builtins(loaded), _Content)
    except (OSError, ValueError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"{path} holds no statements: {error}. It is TOML (.toml) or YAML, with entries `statement` that "
            "have topic, text, author and date"
        ) from error
    if content.model not in (None, model):
        raise ConfigError(f"{path} speaks of the model {content.model!r}, not of {model!r}")
    said = [_statement(path, entry) for entry in content.statement if _is_about(entry, version)]
    commit, changed = _commit(path)
    digest = hashlib.sha256(data).hexdigest()
    return File(name=path.name, sha256=digest, commit=commit, changed=changed, statements=tuple(said))


def _is_about(entry: _Entry, version: str) -> bool:
    return entry.versions is None or version in entry.versions


def _statement(path: Path, entry: _Entry) -> Statement:
    if entry.topic not in TOPICS:
        near = difflib.get_close_matches(entry.topic, TOPICS, n=3)
        hint = f"nearest: {', '.join(near)}" if near else f"there are {', '.join(TOPICS)}"
        raise ConfigError(f"{path} has a statement about {entry.topic!r}, which is no topic; {hint}")
    try:
        dt.datetime.fromisoformat(entry.date)
    except ValueError as error:
        raise ConfigError(
            f"{path}: {entry.date!r}, the date of {entry.topic!r}, is none: write 2026-03-01"
        ) from error
    if not entry.author.strip() or not entry.text.strip():
        raise ConfigError(f"{path}: the statement about {entry.topic!r} has no author, or no text")
    return Statement(
        topic=entry.topic,
        text=entry.text.strip(),
        author=entry.author.strip(),
        date=entry.date,
        origin=path.name,
        link=entry.link,
    )


def _commit(path: Path) -> tuple[str | None, bool]:
    """The last commit that changed the file, and whether the file is another now."""
    commit = _git(path, "log", "-1", "--format=%H")
    return commit or None, bool(commit) and bool(_git(path, "status", "--porcelain"))


def _git(path: Path, *arguments: str) -> str:
    folder = path.resolve().parent
    try:
        found = subprocess.run(
            ["git", "-C", folder, *arguments, "--", path.resolve().name],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git here
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def declared(facets: Iterable[Mapping[str, Any]]) -> list[Statement]:
    """What facets of the log declare: a model's card and licence, a job's description and owners.

    `facets` are rows with key, value (decoded), place and happened_at.
    """
    return [one for row in facets for one in _DECLARED.get(row["key"], _nothing)(row["value"], row)]


def _nothing(_facet: Mapping[str, Any], _row: Mapping[str, Any]) -> list[Statement]:
    return []


def _card(facet: Mapping[str, Any], row: Mapping[str, Any]) -> list[Statement]:
    card = facet["card"] if isinstance(facet.get("card"), dict) else {}
    said = [(topic, card.get(field)) for field, topic in _CARD.items()]
    said.append(("license", facet.get("license")))
    author, at = card.get("author"), card.get("at") or row["happened_at"]
    return [_from_log(topic, text, author, at, row) for topic, text in said if text]


def _documentation(facet: Mapping[str, Any], row: Mapping[str, Any]) -> list[Statement]:
    text = facet.get("description")
    return [_from_log("description", text, None, row["happened_at"], row)] if text else []


def _ownership(facet: Mapping[str, Any], row: Mapping[str, Any]) -> list[Statement]:
    owners = facet["owners"] if isinstance(facet.get("owners"), list) else []
    names = ", ".join(str(one["name"]) for one in owners if isinstance(one, dict) and one.get("name"))
    return [_from_log("owner", names, None, row["happened_at"], row)] if names else []


def _from_log(topic: str, text: object, author: object, at: object, row: Mapping[str, Any]) -> Statement:
    return Statement(
        topic=topic,
        text=str(text),
        author=None if author is None else str(author),
        date=None if at is None else str(at),
        origin=str(row["place"]),
    )


_DECLARED: Final = {"modelTrail_model": _card, "documentation": _documentation, "ownership": _ownership}


def by_topic(statements: Iterable[Statement]) -> Said:
    """Statements by what they are about."""
    found: dict[str, list[Statement]] = {}
    for one in statements:
        found.setdefault(one.topic, []).append(one)
    return {topic: tuple(several) for topic, several in found.items()}

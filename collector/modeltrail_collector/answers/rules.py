"""The rules of alerts: a TOML file, and what may stand in it.

A rule is a query over the tables with parameters. Each kind below has its query beside this file
(`sql/rule_<kind>.sql`), whose rows are what it found; the kind `sql` brings a query of its own.
"""

import difflib
import math
import os
import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from modeltrail_collector.errors import ConfigError

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Duration = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,5}[smhdw]$")]
Fact = Literal[
    "evaluation", "data_fingerprint", "code_state", "environment", "hyperparameters", "training",
    "transformations", "registration",
]  # fmt: skip

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str) -> float:
    """How long a duration is: `30s`, `15m`, `6h`, `7d`, `2w`."""
    return timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]]).total_seconds()


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every rule says."""

    name: Name
    severity: Literal["error", "warn"] = "error"
    description: str = ""


def _must_be_finite(name: str, value: float | None) -> None:
    """Nothing is below `nan` and everything below `inf`: such a rule would never fire, or always."""
    if value is not None and not math.isfinite(value):
        raise ValueError(f"{name} is {value}: write a number that a figure can be held against, as 0.8")


class OfModels(Rule, frozen=True, kw_only=True):
    """A rule about model versions: which."""

    model: str = "*"
    versions: Literal["newest", "deployed", "all"] = "newest"


class Metric(OfModels, frozen=True, kw_only=True, tag="metric"):
    """A figure below or above a value, or moved against another version: exactly one of the five."""

    metric: str
    dataset: str | None = None
    split: str | None = None
    slice: str | None = None
    below: float | None = None
    above: float | None = None
    moved_by: Annotated[float, Meta(ge=0)] | None = None
    fell_by: Annotated[float, Meta(ge=0)] | None = None
    rose_by: Annotated[float, Meta(ge=0)] | None = None
    against: str = "previous"

    def __post_init__(self) -> None:
        bounds = {name: getattr(self, name) for name in ("below", "above", "moved_by", "fell_by", "rose_by")}
        given = [name for name, value in bounds.items() if value is not None]
        if len(given) != 1:
            seen = " and ".join(given) or "none of them"
            raise ValueError(f"give one of {', '.join(bounds)}; it has {seen}")
        _must_be_finite(given[0], bounds[given[0]])


class Drift(OfModels, frozen=True, kw_only=True, tag="drift"):
    """The PSI of a column of the training data against another version's, or of a model in use."""

    psi_above: Annotated[float, Meta(gt=0)]
    column: str = "*"
    against: str = "previous"

    def __post_init__(self) -> None:
        _must_be_finite("psi_above", self.psi_above)


class Missing(OfModels, frozen=True, kw_only=True, tag="missing"):
    """Facts that nobody recorded."""

    facts: Annotated[list[Fact], Meta(min_length=1)]


class Stalled(Rule, frozen=True, kw_only=True, tag="stalled"):
    """A run that began and did not end in time."""

    after: Duration
    job: str = "*"


class Unregistered(Rule, frozen=True, kw_only=True, tag="unregistered"):
    """A model version serves and no registry knows it."""

    endpoint: str = "*"
    environment: str = "*"


class Forbidden(OfModels, frozen=True, kw_only=True, tag="forbidden"):
    """A version learned from a dataset, directly or through others; one of the two, or both."""

    dataset: str | None = None
    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{6,64}$")] | None = None

    def __post_init__(self) -> None:
        if self.dataset is None and self.fingerprint is None:
            raise ValueError("give dataset (a name or a pattern) or fingerprint, or both")


class Sql(Rule, frozen=True, kw_only=True, tag="sql"):
    """One SELECT over the tables: each row is a finding."""

    query: str


_UNKNOWN: Final = re.compile(r"unknown field `(\w+)`")

AnyRule = Metric | Drift | Missing | Stalled | Unregistered | Forbidden | Sql


class Webhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where alerts are posted to; `${NAME}` in a header or the URL is a variable of the environment."""

    name: Name
    url: str
    timeout: Duration = "10s"
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not re.match(r"https?://[^/\s]", filled(self.url)):
            raise ValueError(f"url is {self.url!r}: write http://… or https://…")
        for text in self.headers.values():
            filled(text)


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rules file: `[[rule]]` and `[[webhook]]` tables."""

    rule: Annotated[list[AnyRule], Meta(min_length=1)]
    webhook: list[Webhook] = []


def filled(text: str) -> str:
    """The text with `${NAME}` replaced by the environment. Raises ValueError for one that is not set."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise ValueError(f"the environment has no {found[1]}, which ${{{found[1]}}} stands for")
        return os.environ[found[1]]

    return re.sub(r"\$\{(\w+)\}", value, text)


def read_rules(path: str | Path) -> Rules:
    """The rules of a file.

    Raises ConfigError, with the line, the value seen and what to write.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        rules = msgspec.convert(document, Rules, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}{_explained(str(error), document, text)}") from error
    for table, names in (
        ("rule", [r.name for r in rules.rule]),
        ("webhook", [w.name for w in rules.webhook]),
    ):
        if twice := [name for name in names if names.count(name) > 1]:
            number = len(names) - 1 - names[::-1].index(twice[0])
            raise ConfigError(
                f"{path}{_line(text, table, number)}: a second {table} is called {twice[0]!r}: each name once"
            )
    return rules


def _explained(error: str, document: dict[str, Any], text: str) -> str:
    """The sentence of msgspec with the line, the value seen and the words that are known."""
    said, _, where = error.partition(" - at `$")
    steps: list[str | int] = [
        int(number) if number else key for key, number in re.findall(r"\.(\w+)|\[(\d+)\]", where.rstrip("`"))
    ]
    found: Any = document
    for step in steps:
        try:
            found = found[step]
        except (LookupError, TypeError):
            found = None
    table = steps[0] if steps and isinstance(steps[0], str) else None
    number = steps[1] if len(steps) > 1 and isinstance(steps[1], int) else None
    unknown = _UNKNOWN.search(said)
    wrong = unknown[1] if unknown else str(steps[2]) if len(steps) > 2 else None
    line = _line(text, table, number, wrong) if table and number is not None else ""
    name = _called(document, table, number) if table and number is not None else ""
    key = f", {steps[2]}" if len(steps) > 2 else ""
    is_told = isinstance(found, dict) or found is None or repr(found) in said
    seen = "" if is_told else f"; it is {found!r}"
    return f"{line}{name}{key}: {said}{seen}{_hint(said, document, steps)}"


def _line(text: str, table: str, number: int, key: str | None = None) -> str:
    """The line of a key, else where its table of an array begins, where the file writes it as `[[table]]`."""
    lines = text.splitlines()
    starts = [count for count, line in enumerate(lines, 1) if re.match(rf"\s*\[\[\s*{table}\s*\]\]", line)]
    if number >= len(starts):
        return ""
    start = starts[number]
    for count, line in enumerate(lines[start:], start + 1):
        if line.lstrip().startswith("["):
            break
        if key and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*=""", line):
            return f", line {count}"
    return f", line {start}"


def _called(document: dict[str, Any], table: str, number: int) -> str:
    one = document[table][number]
    name = one.get("name") if isinstance(one, dict) else None
    return f", {table} {name!r}" if name else f", {table} {number + 1}"


def _hint(said: str, document: dict[str, Any], steps: list[str | int]) -> str:
    """What would have been understood."""
    table, number, key = [*steps, None, None, None][:3]
    if "[smhdw]" in said:
        return ". Write 30s, 15m, 6h, 7d or 2w"
    if key == "facts":
        return f". There are {', '.join(get_args(Fact))}"
    kinds = {kind.__struct_config__.tag: kind for kind in get_args(AnyRule)}
    unknown = _UNKNOWN.search(said)
    if unknown is None:
        return f". Kinds: {', '.join(kinds)}" if "Invalid value" in said or "`kind`" in said else ""
    known: tuple[str, ...] = Rules.__struct_fields__
    if table == "webhook":
        known = Webhook.__struct_fields__
    elif table == "rule" and number is not None:
        known = kinds[document["rule"][number]["kind"]].__struct_fields__
    near = difflib.get_close_matches(unknown[1], known, n=1)
    return f". Did you mean {near[0]}?" if near else f". There are {', '.join(known)}"

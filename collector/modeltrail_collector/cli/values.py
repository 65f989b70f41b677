"""How single values look to a person."""

import json
from textwrap import shorten
from typing import Any, Final

from modeltrail_collector.answers.why.cause import apart
from modeltrail_collector.cli.trail import short

_LONGEST: Final = 48


def sides(before: str | None, after: str | None) -> str:
    """Both values, shortened; what looks the same then from where it differs, and numbers in full."""
    told = [_side(before), _side(after)]
    if told[0] == told[1] and before is not None and after is not None:
        told = [_cut(text) for text in apart(before, after, _LONGEST)]
    return " → ".join(told)


def _side(text: str | None) -> str:
    if text is None:
        return "nothing"
    return short(text) if " " not in text and text.isalnum() else figure(text)


def figure(value: Any) -> str:
    """A number with at most six significant digits; text at most `_LONGEST` characters."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "" if value is None else _cut(str(value))
    return str(value) if number.is_integer() else f"{number:.6g}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def brief(value: Any) -> str:
    """The fields of an object in one line; at most 80 characters."""
    if not isinstance(value, dict) or not value:
        return ""
    text = ", ".join(
        f"{key}={item if isinstance(item, str) else json.dumps(item)}" for key, item in value.items()
    )
    return text if len(text) <= 80 else text[:79] + "…"


def one_line(text: object) -> str | None:
    """A text of several lines, whose breaks are printable, in one of at most 200 characters; else None."""
    return shorten(text.replace("\\n", " "), 200, placeholder=" …") if isinstance(text, str) else None


def span(values: list[Any]) -> str:
    """From the least to the greatest of numbers; what is none is left out."""
    known = sorted(value for value in values if isinstance(value, int | float))
    return " to ".join(dict.fromkeys(map(figure, known[:1] + known[-1:])))

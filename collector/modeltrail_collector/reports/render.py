"""A document as HTML, Markdown or JSON. Names in it come from strangers: none of them is markup."""

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import jinja2
import msgspec

from modeltrail_collector.answers.places import LED_TO, SAME_BYTES
from modeltrail_collector.reports.document import HUMAN, NOT_RECORDED, OBSERVED, Document
from modeltrail_collector.reports.draw import draw
from modeltrail_collector.reports.statements import TOPICS
from modeltrail_schemas.printable import printable, printable_lines

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>|#~@$!^])")
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def render(document: Document, format_: str) -> str:
    """The text of a document in a format: html, md or json."""
    if format_ == "json":
        return json_text(document)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("modeltrail_collector.reports"),
        autoescape=format_ == "html",  # noqa: S701  Markdown has its own filter
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "plain": plain,
        "plain_lines": printable_lines,
        "md": markdown,
        "fenced": fenced,
        "draw": draw,
        "slug": slug,
        "word": word,
    }
    style = environment.get_template("report.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(f"report.{format_}").render(
        document=document,
        topics=TOPICS,
        style=style,
        style_digest=digest,
        NOT_RECORDED=NOT_RECORDED,
        OBSERVED=OBSERVED,
        HUMAN=HUMAN,
        LED_TO=LED_TO,
        SAME_BYTES=SAME_BYTES,
    )


def json_text(value: object) -> str:
    """One JSON document, indented; characters that hide or steer are escaped."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return printable_lines(text) + "\n"


def plain(value: Any, form: str = "text") -> str:
    """A value as people read it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float() if form == "bytes":
            return _bytes(value)
        case int() | float() if form == "duration":
            return _duration(value)
        case int():
            return f"{value:,}" if form == "number" else str(value)
        case float():
            return f"{value:.6g}" if form == "number" else str(value)
        case str() if form == "time":
            return printable(_time(value))
        case str():
            return printable(value)
        case list() | tuple():
            return ", ".join(plain(item) for item in value)
        case Mapping():
            return ", ".join(f"{printable(str(key))}: {plain(item)}" for key, item in value.items())
        case _:
            return printable(str(value))


def _bytes(size: float) -> str:
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"


def _duration(milliseconds: float) -> str:
    seconds = milliseconds / 1000
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _time(text: str) -> str:
    """To the second; a zone other than UTC stays."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?", text)
    if not found:
        return text
    zone = " UTC" if found[3] in {"Z", "+00:00"} else f" {found[3]}" if found[3] else ""
    return f"{found[1]} {found[2]}{zone}"


def fenced(text: str) -> str:
    """Lines as a block of code."""
    fence = _fence(text, 3)
    return f"{fence}\n{text.rstrip()}\n{fence}"


def _fence(text: str, least: int) -> str:
    """More backticks than the text has in a row."""
    return "`" * max(least, *(len(run) + 1 for run in re.findall(r"`+", text)), 0)


def markdown(text: str, form: str = "text") -> str:
    """Text that Markdown takes as text, on one line."""
    line = " ".join(text.split())
    if form == "code" and line:
        fence = _fence(line, 1)
        space = " " if line.startswith("`") or line.endswith("`") else ""
        return f"{fence}{space}{line}{space}{fence}".replace("|", "\\|")
    line = _SPECIAL.sub(r"\\\1", line.replace("&", "&amp;"))
    line = re.sub(r"(?i)\b(www|mailto|xmpp|https?|ftp)([.:])", r"\1\\\2", line)  # GitHub links these unasked
    return re.sub(r"^(\d*)(?=[-+=.)](\s|$))", r"\1\\", line)  # no list, no heading


def slug(text: str) -> str:
    """A title as an anchor."""
    return re.sub(r"\W+", "-", text.lower()).strip("-")


def word(name: str, topics: Mapping[str, str] = TOPICS) -> str:
    """What a topic is called."""
    return topics.get(name, name)

"""Names come from whoever sends events: what they hold must not act on the terminal of who reads them."""

import json
from typing import Any


def printable(text: str) -> str:
    r"""Text of a stranger, safe for a terminal: what steers one, or hides, as JSON escapes it: `\u001b`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def printable_lines(text: str) -> str:
    """As `printable`, but line ends stay; of a JSON document the values stay the same."""
    return "\n".join(map(printable, text.split("\n")))


def all_printable(value: Any) -> Any:
    """A tree of dicts and lists with every text in it made `printable`."""
    match value:
        case str():
            return printable(value)
        case dict():
            return {all_printable(key): all_printable(item) for key, item in value.items()}
        case list():
            return [all_printable(item) for item in value]
        case _:
            return value


def _escaped(character: str) -> str:
    escaped = json.dumps(character)[1:-1]
    return f"\\u{ord(character):04x}" if escaped == character else escaped

"""Names come from whoever sends events: what they hold must not act on the terminal of who reads them."""

import re
from typing import Any, Final

_ACTING: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters, line separators, what turns the direction of text, and what cannot be encoded."""


def visible(text: str) -> str:
    r"""The text with every character that would act instead of being seen as its escape: `\x1b`, `\u202e`."""
    return _ACTING.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """As `visible`, but line ends stay."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    """A JSON document without such characters; its values are the same."""
    return _ACTING.sub(lambda found: found[0] if found[0] in "\n\r\t" else f"\\u{ord(found[0]):04x}", text)


def all_visible(value: Any) -> Any:
    """A tree of dicts and lists with every text in it made `visible`."""
    match value:
        case str():
            return visible(value)
        case dict():
            return {all_visible(key): all_visible(item) for key, item in value.items()}
        case list():
            return [all_visible(item) for item in value]
        case _:
            return value


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

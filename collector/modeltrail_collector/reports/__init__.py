"""Reports about one model version, made from the log alone and from what people state."""

from typing import Final

_DOCUMENT: Final = ("html", "md", "json")

FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "audit": _DOCUMENT,
    "annex-iv": _DOCUMENT,
    "model-card": _DOCUMENT,
    "cyclonedx": ("json",),
    "cyclonedx-1.7": ("json",),
    "spdx": ("json",),
    "slsa": ("json",),
}
"""The formats of each kind of report; the first is its default."""

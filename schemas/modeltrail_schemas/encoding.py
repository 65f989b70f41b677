"""Texts as URIs and as namespaces that every backend takes, whoever wrote them.

Marquez refuses most characters in the namespace of a dataset, and once it was sent them it lists neither
namespaces nor jobs any more, for everybody. It takes `A-Za-z0-9_@+:;=/.-`, no `%`: so what is not among them
is written as quoted-printable writes it (RFC 2045), and two namespaces stay two.
"""

import hashlib
import re
from typing import Final
from urllib.parse import quote

NAMESPACE: Final = re.compile(r"[A-Za-z0-9_@+:;=/.\-]{1,1024}")
"""A namespace that Marquez takes for a dataset."""
LONGEST_NAMESPACE: Final = 1024
_NOT_IN_NAMESPACE: Final = re.compile(r"[^A-Za-z0-9_@+:;=/.\-]")
_IN_A_URI: Final = "/:?#[]@!$&'()*+,;=~%"
"""What stands for itself in a URI, beside letters, digits and `-._` (RFC 3986)."""
_STRAY_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")


def namespace(text: str) -> str:
    """A namespace of datasets: of other characters each byte in UTF-8 is `=` and two hexadecimal digits.

    An empty one is `default`.

    >>> namespace("duckdb:////srv/my project/churn.duckdb")
    'duckdb:////srv/my=20project/churn.duckdb'
    """
    return shortened(_NOT_IN_NAMESPACE.sub(_escaped, text)) or "default"


def shortened(text: str) -> str:
    """A namespace of at most 1024 characters: of a longer one the end becomes its SHA-256."""
    if len(text) <= LONGEST_NAMESPACE:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: LONGEST_NAMESPACE - 1 - len(digest)]}={digest}"


def uri(text: str) -> str:
    """A URI: what none has is percent-encoded, what is encoded already stays.

    >>> uri("file:///srv/50 %/a%20b.csv")
    'file:///srv/50%20%25/a%20b.csv'
    """
    return quote(_STRAY_PERCENT.sub("%25", text), safe=_IN_A_URI)


def _escaped(character: re.Match[str]) -> str:
    return "".join(f"={byte:02X}" for byte in character[0].encode("utf-8", "surrogatepass"))

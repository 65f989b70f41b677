"""An OpenLineage HTTP backend, and what its answers mean for an event.

What each answer means is measured on Marquez 0.51.1: it answers 422 or 400 to what it will never take, 500
with `"code":400` inside to what it cannot read, and a bare 500 both to events that it stumbles over and while
its database is away. Which of the two it is, a question shows that has nothing to do with the event.
"""

from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from modeltrail_collector.errors import ConfigError
from modeltrail_schemas.printable import printable

TIMEOUT_S: Final = 60.0
"""A Marquez that has just started takes six seconds for an event, one of 20 MB takes two."""
ASK_TIMEOUT_S: Final = 10.0

Meaning = Literal["taken", "later", "unclear", "refused", "misdirected"]

_LATER: Final = frozenset({408, 425, 429, 502, 503, 504})
_MISDIRECTED: Final = frozenset({401, 403, 404, 405, 407, *range(300, 400)})
_SAID_CHARACTERS: Final = 500
_LONGEST_WAIT_S: Final = 600.0


class Answer(NamedTuple):
    """What came of sending an event.

    Attributes:
        meaning: `taken`; `later` (it may be taken another time); `unclear` (the event, or the backend, is in
            trouble); `refused` (it never will be); `misdirected` (no event is taken there, or none of ours).
        said: The answer, for people.
        wait_s: How long the backend wants to be left alone.
    """

    meaning: Meaning
    said: str
    wait_s: float | None = None


class Backend:
    """Where events are sent, `url`; any number of threads may.

    Args:
        url: The backend, `http://marquez:5000`; or its whole endpoint, which ends with `/lineage`.
        api_key: Sent as `Authorization: Bearer`, as OpenLineage's clients do.
        connections: How many may be open at once.

    Raises:
        ConfigError: The URL cannot be used.
    """

    def __init__(self, url: str, api_key: str = "", connections: int = 8) -> None:
        self.url = endpoint(url)
        self._api_key = api_key
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "modeltrail"
        if api_key:
            self._session.auth = self._authorize  # a header of its own would give way to ~/.netrc
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections))

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request

    def post(self, body: bytes) -> Answer:
        """Send an event, as JSON."""
        try:
            answer = self._session.post(
                self.url,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=TIMEOUT_S,
                allow_redirects=False,  # a POST that is redirected becomes a GET
            )
        except requests.Timeout:
            return Answer("later", f"did not answer within {TIMEOUT_S:.0f} s")
        except (requests.RequestException, ValueError) as error:
            return Answer("later", f"cannot be reached: {_cause(error)}")
        code = answer.status_code
        text = printable(" ".join(answer.text.split()))[:_SAID_CHARACTERS]
        said = f"answered {code} {text}".rstrip()
        return Answer(meaning(code, answer.content), said, _wait_s(answer.headers.get("Retry-After")))

    def is_well(self) -> bool:
        """Whether it answers a question that has nothing to do with events: then a bare 500 is about one.

        Marquez looks the namespace up in its database; whoever has no such address says so.
        """
        url = urlsplit(self.url)
        path = f"{url.path.removesuffix('/lineage')}/namespaces/default"
        try:
            return (
                self._session.get(url._replace(path=path).geturl(), timeout=ASK_TIMEOUT_S).status_code < 500
            )
        except (requests.RequestException, ValueError):
            return False

    def close(self) -> None:
        """Release the connections."""
        self._session.close()


def endpoint(url: str) -> str:
    """Where the events of a backend are sent: the rule of OpenLineage's clients, and whole endpoints as is.

    Raises:
        ConfigError: It is no URL.
    """
    try:
        found = urlsplit(url)
        usable = found.scheme in {"http", "https"} and bool(found.hostname) and found.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"--to {shown(url)}: write the URL of a backend, as http://marquez:5000")
    path = found.path.rstrip("/")
    return found._replace(path=path if path.endswith("/lineage") else f"{path}/api/v1/lineage").geturl()


def shown(url: str) -> str:
    """A URL without what may be a secret: user, password, query."""
    try:
        found = urlsplit(url)
    except ValueError:
        return "…"
    return urlunsplit((found.scheme, found.netloc.rpartition("@")[2], found.path, "", ""))


def meaning(code: int, body: bytes) -> Meaning:
    """What a status says about an event; the body tells two kinds of 500 apart."""
    if 200 <= code < 300:
        return "taken"
    if code in _LATER:
        return "later"
    if code in _MISDIRECTED:
        return "misdirected"
    if code >= 500:
        return "refused" if _is_unreadable(body) else "unclear"
    return "refused"


class _Said(msgspec.Struct):
    code: int = 0


def _is_unreadable(body: bytes) -> bool:
    """Marquez's 500 about an event that it cannot parse says 400 inside."""
    try:
        return 400 <= msgspec.json.decode(body, type=_Said).code < 500
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _wait_s(retry_after: str | None) -> float | None:
    try:
        return min(Retry().parse_retry_after(retry_after), _LONGEST_WAIT_S) if retry_after else None
    except InvalidHeader:
        return None


def _cause(error: Exception) -> str:
    """The innermost reason: what wraps it quotes the whole URL, which may hold a secret."""
    inner: BaseException = error
    while (found := inner.__cause__ or inner.__context__ or getattr(inner, "reason", None)) is not None:
        if not isinstance(found, BaseException):
            break
        inner = found
    return str(inner) if isinstance(inner, OSError) and inner.strerror else type(inner).__name__

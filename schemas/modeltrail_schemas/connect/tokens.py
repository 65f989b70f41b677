"""OAuth tokens for SASL/OAUTHBEARER: from a token endpoint by client credentials, or from a function.

kafka-python asks for a token at every connection and before the broker's session ends, on its network thread:
so an endpoint is asked only when the last token nears its end, and never waited for long.
"""

import base64
import importlib
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib import error, parse, request

TIMEOUT_S: Final = 8.0
RENEW_AT: Final = 0.8
"""The part of a token's life after which another one is got."""

_MAX_BYTES: Final = 1 << 20


class TokenError(Exception):
    """There is no token; the message says why, and holds no secret."""


def source(settings: Mapping[str, Any]) -> Callable[[], str]:
    """The function that gives a token, by settings of kafka-python's names (`settings.OAUTH`).

    Raises:
        TokenError: The settings name no function, or an endpoint that must not be sent a secret.
    """
    given = settings.get("sasl_oauth_token_provider")
    if isinstance(given, str):
        return _imported(given)
    if given is not None:
        provider: Callable[[], str] = given.token
        return provider
    url = str(settings["sasl_oauthbearer_token_endpoint_url"])
    parts = parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname)):
        raise TokenError(
            f"sasl.oauthbearer.token.endpoint.url is {url!r}: the client secret would travel unprotected; "
            "write an https:// URL"
        )
    return _Endpoint(url, settings).token


def _imported(path: str) -> Callable[[], str]:
    module, _, name = path.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as problem:
        raise TokenError(
            f"sasl_oauth_token_provider is {path!r}, which cannot be imported ({problem}): "
            "write package.module:function, a function without arguments that returns a token"
        ) from problem

    def token() -> str:
        try:
            found = function()
        except Exception as problem:  # whatever it is, the connection must learn of it
            raise TokenError(f"{path} gave no token: {type(problem).__name__}: {problem}") from problem
        if not isinstance(found, str) or not found:
            raise TokenError(f"{path} gave no token but {type(found).__name__}")
        return found

    return token


def _is_this_machine(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class _NoRedirect(request.HTTPRedirectHandler):
    """A redirected POST would carry the client's secret to another host."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


class _Endpoint:
    """RFC 6749, section 4.4: the client's id and secret for a token."""

    def __init__(self, url: str, settings: Mapping[str, Any]) -> None:
        self._url = url
        self._client = str(settings["sasl_oauthbearer_client_id"])
        secret = str(settings["sasl_oauthbearer_client_secret"])
        pair = f"{parse.quote(self._client, safe='')}:{parse.quote(secret, safe='')}"
        self._authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._form = {"grant_type": "client_credentials"}
        if scope := settings.get("sasl_oauthbearer_scope"):
            self._form["scope"] = str(scope)
        context = ssl.create_default_context(cafile=settings.get("https_ca_location"))
        self._opener = request.build_opener(_NoRedirect, request.HTTPSHandler(context=context))
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0

    def token(self) -> str:
        with self._lock:
            if time.monotonic() >= self._renew_at:
                asked = time.monotonic()
                answer = self._ask()
                self._token = answer["access_token"]
                self._renew_at = asked + RENEW_AT * _seconds(answer.get("expires_in"))
            return self._token

    def _ask(self) -> dict[str, Any]:
        asking = request.Request(  # noqa: S310  https, or this machine: `source` looks
            self._url,
            data=parse.urlencode(self._form).encode(),
            headers={"Authorization": self._authorization, "Accept": "application/json"},
        )
        try:
            with self._opener.open(asking, timeout=TIMEOUT_S) as response:
                answer = json.loads(response.read(_MAX_BYTES))
        except error.HTTPError as refusal:
            raise self._failed(f"HTTP {refusal.code}{_reason(refusal)}") from None
        except (OSError, ValueError) as problem:
            raise self._failed(str(getattr(problem, "reason", None) or problem)) from None
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise self._failed("its answer holds no access_token")
        return answer

    def _failed(self, why: str) -> TokenError:
        return TokenError(f"no token for client {self._client!r} from {self._url}: {why}")


def _seconds(expires_in: object) -> float:
    """How long a token lives; one that does not say is asked for each time."""
    try:
        return float(expires_in)  # type: ignore[arg-type]  # whatever the server sent
    except (TypeError, ValueError):
        return 0.0


def _reason(refusal: error.HTTPError) -> str:
    """What the endpoint says of its refusal: `error` and `error_description`, nothing else of its answer."""
    try:
        said = json.loads(refusal.read(_MAX_BYTES))
        texts = [str(said[key]) for key in ("error", "error_description") if said.get(key)]
    except (OSError, ValueError, AttributeError, TypeError):
        return ""
    return f" ({', '.join(texts)[:300]})" if texts else ""

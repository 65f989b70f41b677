"""Who may send: bearer tokens with scopes, some of them limited to namespaces.

A file in TOML names them, by the token itself or by its SHA-256, so that the file need not hold it::

    [[token]]
    name = "airflow"
    sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    scopes = ["ingest"]
    namespaces = ["etl"]

`MODELTRAIL_TOKEN` in the environment is one more, without limits. No message ever shows a token.
"""

import hmac
import os
import tomllib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.web.refusal import Refusal

VARIABLE: Final = "MODELTRAIL_TOKEN"
MIN_LENGTH: Final = 16
Scope = Literal["ingest", "read"]


class Grant(msgspec.Struct, frozen=True):
    """What the holder of a token may do; `namespaces` None is all of them.

    Of the token only the digest is kept: nothing that shows a grant can show the token, and two digests
    compare in a time that says nothing of it, not even its length.
    """

    name: str
    scopes: frozenset[Scope]
    namespaces: frozenset[str] | None = None
    digest: bytes = b""

    def allows(self, namespace: str | None) -> bool:
        """Whether an event of this namespace may be sent; None is one whose namespace cannot be read."""
        return self.namespaces is None or namespace in self.namespaces


EVERYBODY: Final = Grant("everybody", frozenset({"ingest", "read"}))
"""Where no tokens are configured."""


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    scopes: frozenset[Scope]
    namespaces: frozenset[str] | None = None
    token: Annotated[str, msgspec.Meta(min_length=MIN_LENGTH)] | None = None
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    token: Annotated[list[_Entry], msgspec.Meta(min_length=1)]


def read_grants(path: str | None) -> list[Grant]:
    """The tokens of the file and of the environment.

    Raises:
        ConfigError: They cannot be used; the message shows none of them.
    """
    found = _from_file(Path(path)) if path else []
    if token := os.environ.get(VARIABLE):
        if len(token) < MIN_LENGTH:
            raise ConfigError(f"{VARIABLE} has {len(token)} characters: use at least {MIN_LENGTH}")
        found.append(Grant(VARIABLE, EVERYBODY.scopes, None, _digest(token)))
    return found


def _from_file(path: Path) -> list[Grant]:
    try:
        entries = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).token
    except OSError as error:
        raise ConfigError(f"the tokens in {path} cannot be read: {error.strerror}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"the tokens in {path} cannot be used: {error}") from None
    except ValueError:  # the parser's own message may quote the file
        raise ConfigError(f"the tokens in {path} cannot be read: it is no TOML in UTF-8") from None
    for entry in entries:
        if (entry.token is None) == (entry.sha256 is None):
            raise ConfigError(f"{path}: {entry.name!r} needs either `token` or `sha256`")
    return [
        Grant(
            entry.name,
            entry.scopes,
            entry.namespaces,
            _digest(entry.token) if entry.token else bytes.fromhex(entry.sha256 or ""),
        )
        for entry in entries
    ]


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()


class Gate:
    """Tells who comes.

    Args:
        grants: All there are; without any everybody may do everything.
    """

    def __init__(self, grants: Sequence[Grant]) -> None:
        self._grants = grants

    def admit(self, authorization: str | None, scope: Scope) -> Grant:
        """Whose token the header holds.

        Raises:
            Refusal: 401 without a known one, 403 when it is not for this.
        """
        if not self._grants:
            return EVERYBODY
        kind, _, token = (authorization or "").partition(" ")
        shown = _digest(token.strip())
        # All of them, whichever fits: how long it takes says nothing.
        fitting = [grant for grant in self._grants if hmac.compare_digest(grant.digest, shown)]
        if kind.lower() != "bearer" or not fitting:
            error = "send `Authorization: Bearer …` with a token that is known here"
            raise Refusal(401, error, headers={"WWW-Authenticate": "Bearer"})
        grant = fitting[0]
        if scope not in grant.scopes:
            raise Refusal(403, f"the token {grant.name!r} has not the scope {scope!r}")
        return grant

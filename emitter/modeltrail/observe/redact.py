"""Takes secrets out of names, texts and command lines before they leave the process.

Two looks: at the *name* of a value (`password`, `AWS_SECRET_ACCESS_KEY`, `hf_token`, split into words, so
that `secretary`, `tokenizer`, `max_tokens` and `key_size` are none), and at the *shape* of a text (private
keys, JWTs, keys of well-known services, credentials in URLs, `name=value` and `--name value` whose name is
one of the first kind).
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

REDACTED: Final = "[redacted]"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SECRET_WORDS: Final = _words(
    "password passwd passphrase pwd passcode secret secrets credential credentials creds apikey "
    "authorization cookie bearer htpasswd netrc"
)
_SECRET_ENDINGS: Final = ("password", "passwd", "secret", "apikey", "passphrase", "secretkey", "accesskey")
_SECRET_KEYS: Final = _words(
    "api access secret private account auth encryption signing ssh client shared storage master service "
    "license app subscription function session instrumentation deploy gpg pgp rsa hmac"
)
_SECRET_PASSES: Final = frozenset(
    ("db", "database", "user", "smtp", "mysql", "postgres", "redis", "ftp", "proxy")
)
# Tokens of text, which every tokenizer's parameters are full of.
_TEXT_TOKENS: Final = _words(
    "pad eos bos unk mask cls sep stop special start end image audio video prompt boi eoi next last "
    "first new max min num n per each any out of in vocab word sub the a decoder oov blank begin eot eod "
    "extra null system user"
)
_PLAIN_KEYS: Final = _words(
    "primary sort partition foreign public cache group join index row column order hash label unique"
)
_NO_SECRET: Final = frozenset(("PWD", "OLDPWD"))  # directories, in every shell


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a value of this name is a secret.

    >>> [is_secret_name(name) for name in ("db_password", "accessKey", "HF_TOKEN", "max_tokens", "key_size")]
    [True, True, True, False, False]
    """
    if name in _NO_SECRET:
        return False
    words = [word.lower() for word in _WORDS.findall(name)]
    for position, word in enumerate(words):
        before = words[position - 1] if position else ""
        last = position == len(words) - 1
        if word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS):
            return True
        if word in {"key", "keys"} and before in _SECRET_KEYS:
            return True
        if word == "pass" and last and before in _SECRET_PASSES:
            return True
        if word == "token" and last and before not in _TEXT_TOKENS:
            return True
        if last and (word in {"auth", "sig"} or (word == "signature" and before in {"amz", "goog"})):
            return True
    return bool(re.fullmatch(r"[A-Z0-9_]+_KEY", name)) and words[-2] not in _PLAIN_KEYS


_SHAPES: Final = (
    (
        ("-----BEGIN ",),
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?:(?!-----END )[\s\S])*(?:-----END [A-Z0-9 ]*-----)?",
    ),
    (("eyJ",), r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*"),  # JWT, JWE
    (
        ("AKIA", "ASIA", "ABIA", "ACCA", "AIDA", "AROA", "AGPA", "ANPA", "ANVA"),
        r"\b(?:AKIA|ASIA|ABIA|ACCA|AIDA|AROA|AGPA|ANPA|ANVA)[A-Z0-9]{16}\b",  # AWS
    ),
    (
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
        r"\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{20,}|\bglpat-[A-Za-z0-9_-]{16,}",
    ),
    (("xox", "xapp-"), r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{10,}"),  # Slack
    (
        ("AIza", "ya29.", "GOCSPX-"),
        r"\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_-]{10,}|\bGOCSPX-[A-Za-z0-9_-]{10,}",  # Google
    ),
    (("sk-",), r"\bsk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{20,}"),  # OpenAI, Anthropic
    (
        ("hf_", "dapi", "dop_v1_", "npm_"),
        r"\bhf_[A-Za-z0-9]{16,}|\bdapi[0-9a-f]{32}|\bdop_v1_[0-9a-f]{32,}|\bnpm_[A-Za-z0-9]{20,}",
    ),
    (
        ("k_live_", "k_test_", "SG."),
        r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    ),
    (
        ("pypi-AgE", "shp"),
        r"\bpypi-AgE[A-Za-z0-9_-]{20,}|\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{20,}",
    ),
)
"""Shapes, each behind texts of which it has one: most texts have none, and most programs need no shape."""
_AUTHORIZATION: Final = (
    r"(?i)(\bbearer\s+)(?=\S*[0-9._~+/=-]|\S{20})[A-Za-z0-9._~+/=-]{6,}|"
    r"((?:^|\s)(?:-u|--user)[\s=]+[\"']?[^\s:\"']+:)[^\s\"']+"
)
_URL: Final = r"(?i)\b([a-z][a-z0-9+.-]{0,30}://)([^\s/?#\"'<>]+)@"
_NAME: Final = re.compile(
    r"(?<![\w.-])(-{0,2})([A-Za-z_][\w.-]{1,80})"
    r"([\"']?\s{0,8}(?:=>|:=|=(?!=)|:(?!//))\s{0,8}|[ \t]{1,8}(?=[^\s:=]))"
)
_VALUE: Final = (
    r"(?i)([rbfu]{0,2})([\"'])(?:(?!\2)[^\\\n]|\\.|\2\2)*|"
    r"(?:(?:bearer|basic|token|digest|apikey)\s+)?[^\s,;&\"'})\]]+"
)
_HARMLESS: Final = _words("None null True False true false str int bool bytes \"\" '' = == :")


def text(value: str) -> str:
    """The text with its secrets replaced by `[redacted]`; everything else stays byte for byte.

    >>> text("psql postgres://me:hunter2@db/x --password hunter2")
    'psql postgres://[redacted]@db/x --password [redacted]'
    """
    for signs, shape in _SHAPES:
        if any(sign in value for sign in signs):
            value = re.sub(shape, REDACTED, value)
    if "://" in value:
        value = re.sub(_URL, _url, value)
    value = _named(value)
    in_lower = value.lower()
    is_suspect = "bearer" in in_lower or "-u" in in_lower
    return re.sub(_AUTHORIZATION, _authorization, value) if is_suspect else value


def _url(match: re.Match[str]) -> str:
    scheme, user = match.groups()
    names_only = ":" not in user and scheme.lower() in {
        "abfss://",
        "wasbs://",
        "abfs://",
        "wasb://",
        "ssh://",
    }
    return match[0] if names_only else f"{scheme}{REDACTED}@"


def _authorization(match: re.Match[str]) -> str:
    return f"{match[1] or match[2]}{REDACTED}"


def _named(value: str) -> str:
    """`name=value`, `name: value`, and `--name value`; a bare word before another is no name."""
    parts, at = [], 0
    for name in _NAME.finditer(value):
        dashes, word, between = name.groups()
        if name.start() < at or (between.isspace() and not dashes) or not is_secret_name(word):
            continue
        found = re.compile(_VALUE).match(value, name.end())
        if found is None or found[0] in _HARMLESS or found[0].startswith(REDACTED[:-1]):
            continue
        parts += [value[at : name.end()], (found[1] or "") + (found[2] or ""), REDACTED]
        at = found.end()
    return "".join([*parts, value[at:]])


def mapping(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A copy of the mapping without secrets, and the dotted names of what was taken out, sorted.

    A value goes by its name (whatever it is, but None and booleans), a text also by its shape; nested
    mappings and lists are looked into.
    """
    names: list[str] = []
    found = {key: _value(str(key), key, value, names) for key, value in values.items()}
    return found, sorted(set(names))


def _value(path: str, key: object, value: Any, names: list[str]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(key, str) and is_secret_name(key):
        names.append(path)
        return REDACTED
    if isinstance(value, str):
        cleaned = text(value)
        if cleaned != value:
            names.append(path)
        return cleaned
    if isinstance(value, Mapping):
        return {inner: _value(f"{path}.{inner}", inner, item, names) for inner, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_value(f"{path}[{at}]", None, item, names) for at, item in enumerate(value))
    return value


_PASSWORD_OPTIONS: Final = {
    **dict.fromkeys(
        _words("mysql mysqldump mysqladmin mysqlimport mariadb mariadb-dump sshpass twine"), "-p"
    ),
    **dict.fromkeys(_words("mongo mongosh mongodump mongorestore mongoexport mongoimport"), "-p"),
    **dict.fromkeys(_words("sqlcmd bcp"), "-P"),
    **dict.fromkeys(_words("ldapsearch ldapmodify ldapadd"), "-w"),
    "redis-cli": "-a",
    "curl": "-u",
}
"""Program -> its option of one letter that a password follows; of others nobody knows what one means."""


def argv(arguments: Sequence[str]) -> list[str]:
    """A command line without secrets: `--token=x`, `--token x`, `token=x` and what `text` would find.

    Behind the name of a program that is known for it also `-p x` and `-px`.

    >>> argv(["python", "load.py", "-p", "x"]), argv(["/usr/bin/mysql", "-px", "-P", "3306"])
    (['python', 'load.py', '-p', 'x'], ['/usr/bin/mysql', '-p[redacted]', '-P', '3306'])
    """
    found: list[str] = []
    hidden, option = False, ""
    for argument in arguments:
        option = _PASSWORD_OPTIONS.get(argument.replace("\\", "/").rpartition("/")[2], option)
        if hidden and not argument.startswith("--"):
            found.append(REDACTED)
            hidden = False
            continue
        if option and argument.startswith(option):
            hidden = argument == option
            found.append(option if hidden else f"{option}{REDACTED}")
            continue
        name, equals, value = argument.partition("=")
        bare = name.lstrip("-")
        hidden = not equals and name.startswith("-") and is_secret_name(bare)
        if equals and value and " " not in bare and is_secret_name(bare):
            found.append(f"{name}={REDACTED}")
        else:
            found.append(text(argument))
    return found

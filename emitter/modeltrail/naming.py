"""What a path or a URI is called in OpenLineage: (namespace, name).

Source of the rules: OpenLineage's naming page, and the classes in `openlineage.client.naming.dataset` that
carry it.
"""

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from modeltrail_schemas import encoding

FILE: Final = "file"
IN_MEMORY: Final = "inmemory://"

_URI: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+:")
_SAME_STORE: Final = {
    "s3a": "s3",
    "s3n": "s3",
    "gcs": "gs",
    "abfs": "abfss",
    "wasb": "wasbs",
    "postgresql": "postgres",
}
# Object stores have keys, Kafka topics, not paths: no leading slash. (File systems keep theirs.)
_KEYED: Final = frozenset({"s3", "gs", "abfss", "wasbs", "hf", "kafka", "mlflow", "models", "modeltrail"})
# Databases have tables, `database.schema.table`: none either.
_TABLED: Final = frozenset(
    {
        "awsathena",
        "clickhouse",
        "mssql",
        "mysql",
        "oracle",
        "postgres",
        "presto",
        "redshift",
        "snowflake",
        "trino",
    }
)
DUCKDB: Final = "duckdb"
SQLITE: Final = "sqlite"
HUB: Final = "hf://huggingface.co"
_TABLE: Final = "table="
_REVISION: Final = re.compile(r"@(refs/(?:convert|pr)/[^/]+|[^/]+)")
_IN_PATH: Final = "/:@!$&'()*+,;=~"
"""What stands for itself in the path of a URI (RFC 3986), beside letters, digits and `-._`."""


def is_uri(text: str) -> bool:
    """Whether `text` starts with a scheme; `C:\\data.csv` and `C:data` do not count."""
    return bool(_URI.match(text))


def local_path(where: str | os.PathLike[str]) -> Path | None:
    """The path on this machine that `where` means, absolute, or None for a remote URI."""
    text = os.fsdecode(where)
    if is_uri(text):
        parts = _parts(text)
        if parts is None or parts.scheme.lower() != "file" or parts.netloc not in {"", "localhost"}:
            return None
        text = unquote(parts.path)
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111  resolve() follows links


def identity(where: str | os.PathLike[str]) -> tuple[str, str]:
    """The OpenLineage (namespace, name) of a path or URI; credentials, query and fragment are left out.

    >>> identity("s3a://bucket/raw/x.csv")
    ('s3://bucket', 'raw/x.csv')
    >>> identity("hdfs://user:secret@namenode:8020/raw/x.csv")
    ('hdfs://namenode:8020', '/raw/x.csv')
    >>> identity("dbfs:/mnt/x.csv")
    ('dbfs', '/mnt/x.csv')
    >>> identity("postgresql://user:secret@db:5432/shop.public.orders")
    ('postgres://db:5432', 'shop.public.orders')
    >>> identity("hf://datasets/acme/reviews@5c3f/data/train.csv")
    ('hf://huggingface.co', 'datasets/acme/reviews/data/train.csv')
    >>> identity("duckdb:///srv/churn.duckdb/churn.main.features")
    ('duckdb:///srv/churn.duckdb', 'churn.main.features')
    >>> identity("sqlite:///srv/churn.db?table=main.features")
    ('sqlite:///srv/churn.db', 'main.features')
    """
    place, name = _place(where)
    return encoding.namespace(place), name


def revision(where: str | os.PathLike[str]) -> str | None:
    """The branch, tag or commit that a URI of Hugging Face's hub says.

    >>> revision("hf://datasets/acme/reviews@5c3f/data/train.csv")
    '5c3f'
    """
    text = os.fsdecode(where)
    found = _REVISION.search(text) if text.startswith("hf://") else None
    return None if found is None else found[1]


def file_uri(path: str | os.PathLike[str]) -> str:
    """Where a local file lies, symbolic links followed; its name is the path that somebody gave."""
    return Path(os.path.realpath(path)).as_uri()


def given(name: str) -> str:
    """`name` as somebody gave it; a blank one, after which Marquez lists no jobs any more, is `unnamed`."""
    return name if name.strip() else "unnamed"


def _place(where: str | os.PathLike[str]) -> tuple[str, str]:
    """The two names before a backend has a say in their characters."""
    path = local_path(where)
    if path is not None:
        return FILE, path.as_posix()
    parts = _parts(os.fspath(where))
    if parts is None:  # still a name
        return FILE, os.fspath(where).partition("?")[0]
    scheme = _SAME_STORE.get(parts.scheme.lower(), parts.scheme.lower())
    if scheme == DUCKDB:
        return _duckdb(parts.netloc + unquote(parts.path))
    if scheme == SQLITE and parts.query.startswith(_TABLE):
        return f"{SQLITE}://{unquote(parts.path)}", unquote(parts.query.removeprefix(_TABLE))
    if scheme == "hf":
        inside = unquote(parts.netloc + parts.path).removeprefix(HUB.partition("://")[2])
        return HUB, _REVISION.sub("", inside).strip("/")
    authority = unquote(_authority(scheme, parts.netloc))
    return f"{scheme}://{authority}" if authority else scheme, _name(scheme, unquote(parts.path))


def _parts(text: str) -> SplitResult | None:
    """None for what only begins like a URI: `http://[broken`."""
    try:
        return urlsplit(text)
    except ValueError:
        return None


def uri(where: str | os.PathLike[str]) -> str:
    """`where`, which is no local file, as a URI without credentials, query and fragment.

    >>> uri("s3a://bucket/my key.csv")
    's3://bucket/my%20key.csv'
    """
    place, name = _place(where)
    begin = quote(place, safe=f"{_IN_PATH}[]" if "://[" in place else _IN_PATH)
    path = quote(name, safe=_IN_PATH)
    return f"{begin}/{path.lstrip('/')}" if "://" in place else f"{begin}:{path}"


def _duckdb(where: str) -> tuple[str, str]:
    """A table, behind the path of the database's file; one of a service (`md:…`) or in memory has no path."""
    file, _, table = where.rstrip("/").rpartition("/")
    return f"{DUCKDB}://{file if ':' in file else os.path.abspath(file)}", table  # noqa: PTH100


def _authority(scheme: str, netloc: str) -> str:
    """The host without credentials; Azure's `container@account` is no credential."""
    user, at, host = netloc.rpartition("@")
    if at and scheme in {"abfss", "wasbs"} and ":" not in user:
        return netloc
    return host


def _name(scheme: str, path: str) -> str:
    trimmed = path.rstrip("/")
    if scheme in _KEYED | _TABLED:
        trimmed = trimmed.lstrip("/")
    return trimmed or "/"

"""From a URI to a log."""

from pathlib import Path

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.log.log import Log
from modeltrail_collector.log.store import LocalStore

SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")


def open_log(uri: str | Path) -> Log:
    """Open the log at a directory (or `file://`), `s3://`, `gs://` or `az://`; it need not exist yet.

    Object stores are configured by their usual environment variables (`AWS_…`, `GOOGLE_…`, `AZURE_…`).

    Raises:
        ConfigError: The URI cannot be used.
    """
    text = str(uri)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Log(LocalStore(Path(text).expanduser().absolute()))
    if scheme == "file":
        return Log(LocalStore(Path(rest).absolute()))
    if scheme not in SCHEMES:
        raise ConfigError(
            f"the log is {text!r}, but {scheme}:// is no store of ours: "
            "write a directory, or a URI that starts with s3://, gs:// or az://"
        )
    from modeltrail_collector.log.objects import open_objects

    return Log(open_objects(text))

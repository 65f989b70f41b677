"""Every setting of the emitter, read from OpenLineage's own configuration.

The transport is found as openlineage-python 1.54 finds it, so that one configuration serves every OpenLineage
tool of a machine: `configure()`, then the first YAML file of OPENLINEAGE_CONFIG, ``./openlineage.yml`` and
``~/.openlineage/openlineage.yml``, then ``OPENLINEAGE__TRANSPORT__…`` (file and environment are merged key by
key, the file wins), then OPENLINEAGE_URL, then what Airflow sends its own events by: in its tasks and in what
they start. With none of them events go to the local inbox, ``<log>/inbox``.

The environment is read again whenever settings are used; relative paths stay where the program was launched.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from modeltrail import airflow, guard
from modeltrail.errors import ConfigError
from modeltrail.options import OPTIONS

DEFAULT_LOG = "lineage"
DEFAULT_TOPIC = "openlineage.events"
ENV_PREFIX = "OPENLINEAGE__"
PREFIXES = ("OPENLINEAGE", "MODELTRAIL_", airflow.ENV_PREFIX)
TRUE = frozenset({"1", "true", "yes", "on"})


class Settings(msgspec.Struct, frozen=True):
    """What holds now.

    Attributes:
        transport: An OpenLineage transport configuration with a `type`; None is the local inbox.
        namespace: The job namespace.
        disabled: Nothing is emitted.
        strict: Our failures are raised.
        log: The absolute directory of the log.
        spool: The absolute directory of undelivered events.
        max_event_bytes: The largest event for Kafka, in bytes of its value.
        spark_jars: A class path with OpenLineage's Spark listener; None where there is none.
        subjects_key: The absolute path of the key for pseudonyms of persons; None where there is none.
        subjects_index: The absolute directory of their indexes; None where there is none.
        origins: Where each value came from, by attribute: "default", "MODELTRAIL_LOG", a file, "configure()".
    """

    transport: dict[str, Any] | None
    namespace: str
    disabled: bool
    strict: bool
    log: Path
    spool: Path
    max_event_bytes: int
    spark_jars: str | None
    subjects_key: Path | None
    subjects_index: Path | None
    origins: Mapping[str, str]

    @property
    def inbox(self) -> Path:
        """The directory that takes events when no transport is configured."""
        return self.log / "inbox"

    def resolve(self, path: str) -> Path:
        """A path of some other setting, made absolute as `log` and `spool` are."""
        return _absolute(path)


_overrides: dict[str, Any] = {}
_launch_directory: Path | None = None
_cached: tuple[object, Settings] | None = None


def current() -> Settings:
    """The settings that hold now.

    Never raises unless strict: of a broken value it warns once and takes the default.
    """
    global _cached  # noqa: PLW0603  a cache: two threads at worst read twice
    environment = {name: value for name, value in os.environ.items() if name.startswith(PREFIXES)}
    file = _config_file(environment)
    state = os.environ.get("XDG_STATE_HOME")
    stamp = (environment, file, _modified(file), dict(_overrides), state, airflow.can_be_asked())
    if _cached is not None and _cached[0] == stamp:
        return _cached[1]
    settings = _read(environment, file)
    _cached = (stamp, settings)
    return settings


def configure(**overrides: Any) -> None:
    """Set values from code; they win over files and environment. None takes a setting back.

    Args:
        overrides: Attributes of `Settings` but `origins`: ``transport={"type": …}``, ``namespace="fraud"``.

    Raises:
        ConfigError: A name or value that cannot be used.
    """
    names = [option.name for option in OPTIONS]
    for name, value in overrides.items():
        if name not in names:
            raise ConfigError(f"there is no setting {name!r}; the settings are: {', '.join(names)}")
        if name == "transport" and value is not None:
            _checked_transport(value, "configure()")
    for name, value in overrides.items():
        if value is None:
            _overrides.pop(name, None)
        else:
            _overrides[name] = value


def overridden(name: str) -> Any:
    """What `configure` was given for a setting; None if nothing."""
    return _overrides.get(name)


def reset() -> None:
    """Forget `configure` and the launch directory, as in a fresh process."""
    global _launch_directory, _cached  # noqa: PLW0603
    _overrides.clear()
    _launch_directory = None
    _cached = None


def _strict() -> bool:
    """Only what is cheap to read and cannot fail: the guard asks while something is failing."""
    return bool(_overrides.get("strict", os.environ.get("MODELTRAIL_STRICT", "").lower().strip() in TRUE))


guard.strict_when(_strict)


def _read(environment: Mapping[str, str], file: Path | None) -> Settings:
    origins: dict[str, str] = {}

    def value(name: str, default: Any, parse: Callable[[str], Any]) -> Any:
        """`configure`, else the environment, else the default; notes which."""
        env = next(option.env for option in OPTIONS if option.name == name)
        if name in _overrides:
            origins[name] = "configure()"
            return _overrides[name]
        if environment.get(env, "").strip():
            with guard.guarded(f"reading {env}"):
                parsed = parse(environment[env].strip())
                origins[name] = env
                return parsed
        origins[name] = "default"
        return default

    log = _absolute(value("log", DEFAULT_LOG, _directory))
    transport: dict[str, Any] | None = None
    origins["transport"] = "default"
    with guard.guarded("reading the OpenLineage configuration"):
        transport, origins["transport"] = _transport(environment, file)
    namespace = value("namespace", "default", str)
    if origins["namespace"] == "default":
        with guard.guarded("asking Airflow for its namespace"):
            namespace, origins["namespace"] = airflow.namespace(environment) or (namespace, "default")
    return Settings(
        transport=transport,
        namespace=namespace,
        disabled=value("disabled", default=False, parse=lambda text: text.lower() == "true"),
        strict=value("strict", default=False, parse=_flag),
        log=log,
        spool=_absolute(value("spool", _state_directory(log), _directory)),
        max_event_bytes=value("max_event_bytes", 4_000_000, _positive),
        spark_jars=value("spark_jars", None, str),
        subjects_key=_absolute_or_none(value("subjects_key", None, _directory)),
        subjects_index=_absolute_or_none(value("subjects_index", None, _directory)),
        origins=origins,
    )


def _transport(environment: Mapping[str, str], file: Path | None) -> tuple[dict[str, Any] | None, str]:
    """The transport's configuration and where its `type` was found."""
    if "transport" in _overrides:
        return dict(_overrides["transport"]), "configure()"
    from_environment = _from_environment(environment).get("transport")
    from_file = _from_file(file).get("transport") if file else None
    merged: dict[str, Any] = {}
    origin = "default"
    for found, where in ((from_environment, f"{ENV_PREFIX}TRANSPORT__…"), (from_file, str(file))):
        if found:
            if not isinstance(found, Mapping):
                raise ConfigError(f"`transport` in {where} is {found!r}; write a mapping with a `type`")
            merged = _merge(merged, found)
            origin = where if found.get("type") else origin
    if merged.get("type"):
        return _checked_transport(merged, origin), origin
    if url := environment.get("OPENLINEAGE_URL"):
        return _simple_http(url, environment), "OPENLINEAGE_URL"
    if file := airflow.config_file(environment):
        return _checked_transport(_from_file(file).get("transport"), str(file)), str(file)
    if found := airflow.transport(environment):
        return _checked_transport(*found), found[1]
    return None, "default"


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """``OPENLINEAGE__A__B=value`` as ``{"a": {"b": value}}``.

    As openlineage-python does it: keys are lower-cased (so that messageKey arrives as messagekey), values are
    JSON where they parse as JSON, and a shorter name wins over longer ones (hence the reverse order).
    """
    found: dict[str, Any] = {}
    named = {name: text for name, text in environment.items() if name.startswith(ENV_PREFIX)}
    for name, text in sorted((_url_alias(environment) | named).items(), reverse=True):
        *parents, last = name.removeprefix(ENV_PREFIX).lower().split("__")
        level = found
        for key in parents:
            inner = level.get(key)
            if not isinstance(inner, dict):
                inner = level[key] = {}
            level = inner
        try:
            level[last] = json.loads(text)
        except ValueError:
            level[last] = text
    return found


def _url_alias(environment: Mapping[str, str]) -> dict[str, str]:
    """OPENLINEAGE_URL as member `default_http` of a composite transport, as openlineage-python adds it."""
    prefix = f"{ENV_PREFIX}TRANSPORT__TRANSPORTS__DEFAULT_HTTP"
    url = environment.get("OPENLINEAGE_URL")
    if not url or any(name.startswith(prefix) for name in environment):
        return {}
    simple = _simple_http(url, environment)
    alias = {f"{prefix}__{key.upper()}": json.dumps(value) for key, value in simple.items()}
    if environment.get(f"{ENV_PREFIX}TRANSPORT__TYPE") == "async_http":
        alias |= {
            f"{ENV_PREFIX}TRANSPORT__{key.upper()}": json.dumps(v)
            for key, v in simple.items()
            if key != "type"
        }
    return alias


def _simple_http(url: str, environment: Mapping[str, str]) -> dict[str, Any]:
    transport: dict[str, Any] = {
        "type": "http",
        "url": url,
        "endpoint": environment.get("OPENLINEAGE_ENDPOINT", "api/v1/lineage"),
    }
    if key := environment.get("OPENLINEAGE_API_KEY"):
        transport["auth"] = {"type": "api_key", "apiKey": key}
    return transport


def _config_file(environment: Mapping[str, str]) -> Path | None:
    """The first configuration file that can be read."""
    candidates = [environment.get("OPENLINEAGE_CONFIG"), "openlineage.yml"]
    candidates.append(os.path.expanduser("~/.openlineage/openlineage.yml"))  # noqa: PTH111  Path.expanduser may raise
    for name in candidates:
        if name and os.path.isfile(name) and os.access(name, os.R_OK):  # noqa: PTH113  twice as fast, on every emit
            return Path(os.path.abspath(name))  # noqa: PTH100
    if named := environment.get("OPENLINEAGE_CONFIG"):
        guard.warn_once(
            f"config {named}", "OPENLINEAGE_CONFIG=%s is not a file that can be read; it is ignored", named
        )
    return None


def _from_file(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"the configuration file {file} cannot be read: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            f"the configuration file {file} holds {type(content).__name__}; it should be a mapping"
        )
    return content


def _modified(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(inner, value) if both else value  # type: ignore[arg-type]
    return merged


def _checked_transport(transport: object, where: str) -> dict[str, Any]:
    if not isinstance(transport, Mapping) or not isinstance(transport.get("type"), str):
        found = ", ".join(map(str, transport)) if isinstance(transport, Mapping) else type(transport).__name__
        raise ConfigError(  # of the values none is shown: there are passwords among them
            f"the transport from {where} has no `type`, only {found}; write a mapping with one, such as "
            '{"type": "modeltrail.KafkaTransport", "config": {"bootstrap.servers": "localhost:9092"}}'
        )
    return dict(transport)


def _flag(text: str) -> bool:
    return text.lower() in TRUE


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ConfigError(f"{text} is not a number of bytes above 0")
    return number


def _directory(text: str) -> str:
    """A directory on this machine; an object store, which the collector's log may be, takes none."""
    if text.startswith("file://"):
        return text.removeprefix("file://")
    if "://" in text:
        raise ConfigError(
            f"{text} is no directory: local events go to ./{DEFAULT_LOG}; configure a transport instead"
        )
    return text


def _state_directory(log: Path) -> Path:
    """Beside the user's other state (XDG); beside the log where there is no home."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111
    return log / "spool" if state.startswith("~") else Path(state) / "modeltrail" / "spool"


def _absolute_or_none(path: str | Path | None) -> Path | None:
    return None if path is None else _absolute(path)


def _absolute(path: str | Path) -> Path:
    """Relative to where the program was launched, whatever the current directory is by now."""
    global _launch_directory  # noqa: PLW0603
    if _launch_directory is None:
        try:
            _launch_directory = Path.cwd()
        except OSError:  # the directory was removed below the program's feet
            _launch_directory = Path(tempfile.gettempdir())
    return _launch_directory / os.path.expanduser(path)  # noqa: PTH111

"""Settings come from OpenLineage's own configuration, with OpenLineage's precedence."""

import json
import os
from pathlib import Path

import pytest

from modeltrail import settings, testing
from modeltrail.errors import ConfigError
from modeltrail.options import OPTIONS


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    testing.reset()
    yield
    testing.reset()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def stock_transport():
    """What openlineage-python itself makes of the environment, and its environment put back afterwards."""
    from openlineage.client.client import OpenLineageClient

    before = dict(os.environ)
    try:
        return OpenLineageClient().config.transport
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_nothing_configured_is_the_local_inbox(tmp_path):
    """Without any configuration there is no transport, and the inbox lies in the log."""
    found = settings.current()
    assert found.transport is None
    assert found.inbox == tmp_path / "lineage" / "inbox"
    assert "default" == found.namespace
    assert "default" == found.origins["transport"]


def test_the_log_stays_where_the_program_was_launched(monkeypatch, tmp_path):
    """A relative log does not move with a later chdir."""
    monkeypatch.delenv("MODELTRAIL_LOG")
    before = settings.current().log
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "read-again")
    assert before == settings.current().log == tmp_path / "lineage"


def test_the_environment_is_read_again(monkeypatch):
    """A variable that changes while the program runs is seen at the next use, with its name as origin."""
    assert "default" == settings.current().namespace
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "fraud")
    assert "fraud" == settings.current().namespace
    assert "OPENLINEAGE_NAMESPACE" == settings.current().origins["namespace"]


def test_configure_wins():
    """`configure` beats file and environment, and None takes a setting back."""
    settings.configure(namespace="code", transport={"type": "noop"})
    assert ("code", {"type": "noop"}) == (settings.current().namespace, settings.current().transport)
    assert "configure()" == settings.current().origins["transport"]
    settings.configure(namespace=None, transport=None)
    assert ("default", None) == (settings.current().namespace, settings.current().transport)


@pytest.mark.parametrize(
    "bad", [{"nmespace": "x"}, {"transport": {"url": "http://x"}}, {"transport": "http"}]
)
def test_configure_refuses_what_it_cannot_use(bad):
    """An unknown setting or a transport without a type is a ConfigError, and nothing changes."""
    with pytest.raises(ConfigError):
        settings.configure(**bad)
    assert settings.current().transport is None


ENVIRONMENTS = {
    "simple": {"OPENLINEAGE__TRANSPORT__TYPE": "console"},
    "lower-cased keys": {
        "OPENLINEAGE__TRANSPORT__TYPE": "modeltrail.KafkaTransport",
        "OPENLINEAGE__TRANSPORT__messageKey": "k",
        "OPENLINEAGE__TRANSPORT__CONFIG": '{"bootstrap.servers": "127.0.0.1:1"}',
    },
    "JSON values": {"OPENLINEAGE__TRANSPORT": '{"type": "console", "a": [1, true], "b": "False"}'},
    "a shorter name wins": {
        "OPENLINEAGE__TRANSPORT__TYPE": "http",
        "OPENLINEAGE__TRANSPORT": '{"type": "console"}',
    },
    "numbers and booleans": {
        "OPENLINEAGE__TRANSPORT__TYPE": "console",
        "OPENLINEAGE__TRANSPORT__N": "123",
        "OPENLINEAGE__TRANSPORT__T": "true",
        "OPENLINEAGE__TRANSPORT__F": "False",
    },
    "a composite with a URL": {
        "OPENLINEAGE_URL": "http://127.0.0.1:1",
        "OPENLINEAGE_API_KEY": "secret",
        "OPENLINEAGE__TRANSPORT__TYPE": "composite",
        "OPENLINEAGE__TRANSPORT__TRANSPORTS__A__TYPE": "console",
    },
    "async_http with a URL": {
        "OPENLINEAGE_URL": "http://127.0.0.1:1",
        "OPENLINEAGE_ENDPOINT": "lineage",
        "OPENLINEAGE__TRANSPORT__TYPE": "async_http",
    },
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("file", [None, "transport: {type: console, url: http://file, deep: {a: 1}}", "{}"])
def test_the_transport_is_the_clients(monkeypatch, tmp_path, name, file):
    """Our reading of file and environment equals openlineage-python's own, merged key by key."""
    for variable, value in ENVIRONMENTS[name].items():
        monkeypatch.setenv(variable, value)
    if file:
        write(tmp_path / "openlineage.yml", file)
    found = settings.current()
    expected = stock_transport()
    # The client writes the endpoint of a URL only where one is given; the default is the same.
    assert without_default_endpoint(expected) == without_default_endpoint(found.transport)
    assert "OPENLINEAGE__TRANSPORT__…" in found.origins["transport"] or file


def without_default_endpoint(transport):
    text = json.dumps(transport, sort_keys=True)
    return text.replace('"endpoint": "api/v1/lineage", ', "")


def test_the_first_file_counts(monkeypatch, tmp_path):
    """OPENLINEAGE_CONFIG comes before ./openlineage.yml, and that before ~/.openlineage/openlineage.yml."""
    home = tmp_path / "home" / ".openlineage" / "openlineage.yml"
    write(home, "transport: {type: console, from: home}")
    assert "home" == settings.current().transport["from"]
    write(tmp_path / "openlineage.yml", "transport: {type: console, from: here}")
    assert "here" == settings.current().transport["from"]
    write(tmp_path / "named.yml", "transport: {type: console, from: named}")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(tmp_path / "named.yml"))
    assert "named" == settings.current().transport["from"]
    assert str(tmp_path / "named.yml") == settings.current().origins["transport"]


def test_a_url_alone_is_http(monkeypatch):
    """OPENLINEAGE_URL without any other transport means HTTP with the API key."""
    monkeypatch.setenv("OPENLINEAGE_URL", "http://marquez:5000")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "secret")
    assert settings.current().transport == {
        "type": "http",
        "url": "http://marquez:5000",
        "endpoint": "api/v1/lineage",
        "auth": {"type": "api_key", "apiKey": "secret"},
    }
    assert "OPENLINEAGE_URL" == settings.current().origins["transport"]


@pytest.mark.parametrize(
    "text", ["transport: [unclosed", "- a list", "transport: http", "transport: {type: 3}"]
)
def test_a_broken_file_falls_back_to_local(tmp_path, caplog, text):
    """A configuration file that cannot be used is warned of once, and events go to the local inbox."""
    write(tmp_path / "openlineage.yml", text)
    for namespace in ("a", "b"):
        os.environ["OPENLINEAGE_NAMESPACE"] = namespace  # forces a second reading
        assert settings.current().transport is None
    os.environ.pop("OPENLINEAGE_NAMESPACE")
    assert 1 == len([message for message in caplog.messages if "OpenLineage configuration" in message])


def test_a_broken_file_is_an_error_when_strict(tmp_path):
    """Under strictness the same file raises a ConfigError that names it."""
    write(tmp_path / "openlineage.yml", "- a list")
    with testing.strict(), pytest.raises(ConfigError, match=r"openlineage\.yml"):
        settings.current()


def test_a_missing_named_file_is_warned_of(monkeypatch, caplog):
    """OPENLINEAGE_CONFIG that names no file is said once and ignored."""
    monkeypatch.setenv("OPENLINEAGE_CONFIG", "nowhere.yml")
    assert settings.current().transport is None
    assert "nowhere.yml" in caplog.text


def test_disabled_is_the_clients_word(monkeypatch):
    """OPENLINEAGE_DISABLED counts when it says true, in any case."""
    monkeypatch.setenv("OPENLINEAGE_DISABLED", " True ")
    assert settings.current().disabled
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "0")
    assert not settings.current().disabled


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MODELTRAIL_MAX_EVENT_BYTES", "many"),
        ("MODELTRAIL_MAX_EVENT_BYTES", "-1"),
        ("MODELTRAIL_LOG", "s3://bucket/log"),
    ],
)
def test_a_value_that_cannot_be_used_gives_the_default(monkeypatch, caplog, variable, value):
    """A setting that cannot be used is warned of with its variable, and the default holds."""
    monkeypatch.setenv(variable, value)
    found = settings.current()
    assert 4_000_000 == found.max_event_bytes
    assert variable == "MODELTRAIL_MAX_EVENT_BYTES" or found.log == Path.cwd() / "lineage"
    assert variable in caplog.text


def test_the_spool_follows_the_state_directory(monkeypatch, tmp_path):
    """Without MODELTRAIL_SPOOL the spool lies in XDG_STATE_HOME, else in ~/.local/state."""
    monkeypatch.delenv("MODELTRAIL_SPOOL")
    assert tmp_path / "home/.local/state/modeltrail/spool" == settings.current().spool
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert tmp_path / "state/modeltrail/spool" == settings.current().spool


def test_the_table_names_every_setting():
    """Each attribute of Settings but `origins` has one row in the table of options."""
    attributes = {*settings.Settings.__struct_fields__} - {"origins"}
    assert attributes == {option.name for option in OPTIONS}
    assert all(option.help.endswith(".") for option in OPTIONS)

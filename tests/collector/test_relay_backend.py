"""What a backend's answers mean, and how events are sent to it."""

from pathlib import Path

import pytest
from backends import backend

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.relay.backend import Answer, Backend, endpoint, meaning, shown


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://marquez:5000", "http://marquez:5000/api/v1/lineage"),
        ("http://marquez:5000/", "http://marquez:5000/api/v1/lineage"),
        ("https://gms:8080/openapi/openlineage", "https://gms:8080/openapi/openlineage/api/v1/lineage"),
        ("http://om/v1/openlineage/lineage", "http://om/v1/openlineage/lineage"),
        ("http://om/api/v1/lineage?key=1", "http://om/api/v1/lineage?key=1"),
    ],
)
def test_an_endpoint_is_what_clients_post_to(url: str, found: str) -> None:
    """A URL gets the path that OpenLineage's clients add, unless it ends with /lineage already."""
    assert found == endpoint(url) == endpoint(endpoint(url))


@pytest.mark.parametrize("url", ["marquez:5000", "ftp://marquez", "http://", "", "http://[::1", "http://a:x"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """The message names the option and shows how to write one."""
    with pytest.raises(ConfigError, match=r"--to .*http://marquez:5000"):
        endpoint(url)


def test_no_secret_of_a_url_is_shown() -> None:
    """User, password and query stay out of messages and files."""
    assert "https://m:5000/x" == shown("https://me:secret@m:5000/x?token=secret")


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (200, b"", "taken"),
        (201, b"", "taken"),
        (204, b"", "taken"),
        (307, b"", "misdirected"),
        (400, b"<html>", "refused"),
        (401, b"", "misdirected"),
        (403, b"", "misdirected"),
        (404, b'{"code":404}', "misdirected"),
        (408, b"", "later"),
        (413, b"", "refused"),
        (415, b'{"code":415}', "refused"),
        (422, b'{"errors":["producer must not be null"]}', "refused"),
        (429, b"", "later"),
        (500, b'{"code":400,"message":"Unable to process JSON"}', "refused"),
        (500, b'{"code":500,"message":"There was an error"}', "unclear"),
        (500, b"<html>", "unclear"),
        (500, b"\xff", "unclear"),
        (503, b'{"code":400}', "later"),
    ],
)
def test_what_a_status_means(code: int, body: bytes, expected: str) -> None:
    """Permanent refusals, overload, wrong addresses and a bare 500 are told apart, as Marquez answers."""
    assert expected == meaning(code, body)


def test_an_event_is_posted_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The body goes byte for byte, as application/json, with our key and not that of ~/.netrc."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password other\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with backend() as server:
        assert Answer("taken", "answered 201") == Backend(server.url, "secret").post(b'{"a": 1}')
        (request,) = server.got
    assert ("/api/v1/lineage", b'{"a": 1}') == (request.path, request.body)
    assert ("application/json", "Bearer secret") == tuple(
        request.headers[name] for name in ("Content-Type", "Authorization")
    )


def test_an_answer_is_quoted_and_its_wish_kept() -> None:
    """What was answered is for people to read; Retry-After is how long to wait, nonsense is none."""
    with backend() as server:
        client = Backend(server.url)
        server.answer = lambda _: (429, b"too\n many", {"Retry-After": "7"})
        assert Answer("later", "answered 429 too many", 7) == client.post(b"{}")
        server.answer = lambda _: (503, b"", {"Retry-After": "soon"})
        assert Answer("later", "answered 503", None) == client.post(b"{}")
        server.answer = lambda _: (302, b"", {"Location": f"{server.url}/login"})
        assert "misdirected" == client.post(b"{}").meaning
        assert [] == server.asked


def test_a_backend_that_is_away_says_why_and_no_secret() -> None:
    """The reason is the system's, without the URL that holds a password."""
    with backend() as server:
        port = server.url.rpartition(":")[2]
    answer = Backend(f"http://me:secret@127.0.0.1:{port}").post(b"{}")
    assert ("later", True) == (answer.meaning, "Connection refused" in answer.said)
    assert "secret" not in answer.said


def test_whether_it_is_well_has_nothing_to_do_with_events() -> None:
    """It is asked for a namespace: whoever answers, even that there is no such address, is well."""
    with backend() as server:
        client = Backend(f"{server.url}/x")
        answers = []
        for server.well in (200, 404, 500, 503):
            answers.append(client.is_well())
        assert [True, True, False, False] == answers
        assert {"/x/api/v1/namespaces/default"} == set(server.asked)
    assert not client.is_well()

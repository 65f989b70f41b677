"""`modeltrail serve` as its senders see it: real clients, and what each kind of bad input is told."""

import gzip
import hashlib
import json
import socket

import jsonschema
import pytest
import requests
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.transport.async_http import AsyncHttpConfig, AsyncHttpTransport
from openlineage.client.transport.http import HttpConfig, HttpTransport
from security.certificates import make_all
from served import event, lines, refused, serving, tokens

from modeltrail_collector.judge import MAX_BYTES
from modeltrail_collector.telemetry.boards import ServeBoard
from modeltrail_collector.telemetry.server import serve as board_served
from modeltrail_collector.web.status import ServeStatus
from modeltrail_schemas import openapi

TOKEN, OTHER, READER = "airflow-0123456789", "analytics-0123456789", "reader-0123456789"
TOKENS = tokens(
    {"name": "airflow", "token": TOKEN, "scopes": ["ingest"], "namespaces": ["ml"]},
    {"name": "analytics", "sha256": hashlib.sha256(OTHER.encode()).hexdigest(), "scopes": ["ingest", "read"]},
    {"name": "reader", "token": READER, "scopes": ["read"]},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="module")
def server(folder):
    """One server for all tests that only ask it."""
    (folder / "open").mkdir()
    with serving(folder / "open" / "log") as found:
        yield found


@pytest.fixture(scope="module")
def guarded(folder):
    """One that knows tokens."""
    place = folder / "guarded"
    place.mkdir()
    (place / "tokens.toml").write_text(TOKENS)
    with serving(place / "log", "--tokens", place / "tokens.toml") as found:
        yield found


@pytest.fixture
def log(folder):
    """Of `server`."""
    return folder / "open" / "log"


def answered(response, status):
    """The body of an answer of this status, which the description of the server describes."""
    assert response.status_code == status, response.text
    description = json.loads(openapi())
    path = response.request.path_url
    described = description["paths"][path]["post"]["responses"][str(status)]
    if "content" not in described:
        assert not response.content
        return None
    schema = described["content"]["application/json"]["schema"]
    jsonschema.validate(response.json(), schema | {"components": description["components"]})
    return response.json()


def sent_by(transport, number):
    """A run's end, sent by an OpenLineage client."""
    run = Run(runId=f"0190a0a0-0000-7000-8000-{number:012x}")
    job = Job(namespace="ml", name="stock")
    OpenLineageClient(transport=transport).emit(
        RunEvent(
            eventType=RunState.COMPLETE,
            eventTime="2026-03-02T09:00:00Z",
            run=run,
            job=job,
            producer="https://example.com/tests",
        )
    )
    return run.runId


def run_ids(log):
    return [line["run"]["runId"] for line in lines(log) if isinstance(line, dict) and "run" in line]


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_the_stock_http_transport_is_answered(server, log, compression):
    """openlineage-python's `http` transport delivers, plain and with gzip."""
    config = HttpConfig.from_dict({"url": server.url, "compression": compression})
    run_id = sent_by(HttpTransport(config), 1 if compression else 2)
    assert run_id in run_ids(log)


def test_the_stock_async_http_transport_is_answered(server, log):
    """openlineage-python's `async_http` transport delivers, and counts no failure."""
    transport = AsyncHttpTransport(AsyncHttpConfig.from_dict({"url": server.url}))
    run_id = sent_by(transport, 3)
    assert transport.close(timeout=30)
    assert transport.get_stats()["failed"] == 0
    assert run_id in run_ids(log)


def test_an_event_is_stored_as_it_came(server, log):
    """Printed over several lines it is one line of the inbox, with the same content."""
    pretty = json.dumps(event(10), indent=2).replace("\n", "\r\n").encode()
    assert answered(server.post(pretty), 201) == {"verdict": "accepted", "reasons": []}
    assert event(10) in lines(log)


def test_a_warning_is_told_and_the_event_taken(server, log):
    """A facet that breaks its schema is a success that says what to mend, and where."""
    warned = event(11, run={**event(11)["run"], "facets": {"nominalTime": {"nominalStartTime": 5}}})
    told = answered(server.post(warned), 201)
    assert told["verdict"] == "warned"
    assert "$.run.facets.nominalTime" in told["reasons"][0]["path"]
    assert warned in lines(log)


def test_a_broken_event_is_told_and_kept_as_evidence(server, log):
    """What breaks the core schema is 422 with the judge's own words, and lies in the log as Kafka's does."""
    broken = event(12, run={"facets": {}})
    told = answered(server.post(broken), 422)
    assert told["kept"]
    assert {"code": "required", "path": "$.run.runId", "message": "runId is missing"} in told["reasons"]
    assert broken in lines(log)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty"),
        (b'{"run": ', 400, "not_json"),
        (b'{"run": "\xff"}', 400, "not_utf8"),
        (b"[" * 200 + b"]" * 200, 400, "too_deep"),
        (b"[" + b"0," * 600_000 + b"0]", 400, "too_many_keys"),
        (json.dumps({"run": float("nan")}).encode(), 422, "not_finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_no_event_is_told_why(server, log, body, status, code):
    """Each kind of bad bytes has the judge's code; what is not even nearly JSON is kept nowhere."""
    before = b"".join(path.read_bytes() for path in log.glob("inbox/*"))
    told = answered(server.post(body), status)
    assert told["reasons"][0]["code"] == code
    after = b"".join(path.read_bytes() for path in log.glob("inbox/*"))
    assert (after != before) == told["kept"] == (status == 422)


def test_a_body_that_is_too_large_is_refused(server):
    """More than 16 MiB is 413: as it comes, in pieces of unknown number, and once it is unpacked."""
    large = b" " * (MAX_BYTES + 1)
    packed = gzip.compress(2 * large)
    assert len(packed) < 100_000
    answered(server.post(large), 413)
    pieces = (large[at : at + 65_536] for at in range(0, len(large), 65_536))
    url = f"{server.url}/api/v1/lineage"
    answered(requests.post(url, data=pieces, headers={"Content-Type": "application/json"}, timeout=30), 413)
    answered(server.post(packed, headers={"Content-Encoding": "gzip"}), 413)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-ndjson"}, 415),
        ({"Content-Encoding": "br"}, 415),
        ({"Content-Encoding": "gzip"}, 400),
    ],
)
def test_another_kind_of_body_is_refused(server, headers, status):
    """What is not JSON, or packed otherwise than said, is refused with a sentence."""
    assert answered(server.post(event(13), headers=headers), status)["error"]


def test_gzip_that_ends_too_early_is_refused(server):
    """Half of a packed body is no event."""
    packed = gzip.compress(json.dumps(event(14)).encode())
    told = answered(server.post(packed[:-20], headers={"Content-Encoding": "gzip"}), 400)
    assert "gzip" in told["error"]


def test_a_batch_is_stored_whole(server, log):
    """Events that are all in order are answered with 204 and nothing more, in their order."""
    batch = [event(number) for number in range(20, 30)]
    assert (
        answered(
            server.post(
                gzip.compress(json.dumps(batch).encode()), "/batch", headers={"Content-Encoding": "gzip"}
            ),
            204,
        )
        is None
    )
    assert [line for line in lines(log) if line in batch] == batch


def test_a_batch_says_which_events_failed_and_why(server, log):
    """Each failure has its place, its reason and whether to send it again; the others are stored."""
    batch = [event(30), event(31, eventTime=5), event(32), {"job": [float("1")]}]
    told = answered(server.post(batch, "/batch"), 200)
    assert told["status"] == "partial_success"
    assert list(told["summary"].values()) == [4, 2, 2, 0, 2]
    assert [failed["index"] for failed in told["failed_events"]] == [1, 3]
    assert "$.eventTime" in told["failed_events"][0]["reason"]
    assert not told["failed_events"][0]["retriable"]
    assert event(30) in lines(log)
    assert event(32) in lines(log)


@pytest.mark.parametrize("body", [b'{"a": 1}', b"[1,", b"[NaN]", b"[" + b"0," * 10_000 + b"0]"])
def test_what_is_no_batch_is_refused(server, body):
    """An object, broken JSON, and more events than a batch may have."""
    answered(server.post(body, "/batch"), 413 if len(body) > 10 else 400)


def test_other_paths_and_methods_are_refused_in_json(server):
    """What is not there is 404, what is there for POST only is 405; each is named, with where to look."""
    for path, status in (("/", 404), ("/api/v1/nope", 404), ("/api/v1/lineage/batch", 405)):
        found = requests.get(server.url + path, timeout=30)
        assert found.status_code == status
        assert found.json()["error"].endswith(f": GET {path}; /openapi.json lists what there is")


def test_the_server_describes_itself(server):
    """/openapi.json is the description that the schemas hold, /healthz says that all is well."""
    assert requests.get(f"{server.url}/openapi.json", timeout=30).content == openapi()
    assert requests.get(f"{server.url}/healthz", timeout=30).json() == {"status": "ok"}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_without_a_known_token_nothing_is_taken(guarded):
    """No token, an unknown one and another scheme are 401, before the body is looked at."""
    for headers in ({}, bearer("unknown-0123456789"), {"Authorization": f"Basic {TOKEN}"}):
        found = guarded.post(b"no event", headers=headers)
        answered(found, 401)
        assert found.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_is_for_what_it_is_for(guarded, folder):
    """A scope that is missing and a namespace of others are 403; one by its digest is as good as another."""
    answered(guarded.post(event(1), headers=bearer(READER)), 403)
    answered(guarded.post(event(1), headers=bearer(TOKEN)), 201)
    answered(guarded.post(event(2, namespace="bi"), headers=bearer(TOKEN)), 403)
    answered(guarded.post({"run": {}}, headers=bearer(TOKEN)), 403)
    answered(guarded.post(event(2, namespace="bi"), headers=bearer(OTHER)), 201)
    told = answered(guarded.post([event(3), event(4, namespace="bi")], "/batch", headers=bearer(TOKEN)), 200)
    assert "'bi'" in told["failed_events"][0]["reason"]
    stored = lines(folder / "guarded" / "log")
    assert stored == [event(1), event(2, namespace="bi"), event(3)]


def test_events_of_datasets_have_the_namespace_of_their_dataset(guarded):
    """A token for a namespace may describe datasets of it, and no others."""
    about = event(5) | {"schemaURL": event(5)["schemaURL"].replace("RunEvent", "DatasetEvent")}
    about = {name: about[name] for name in ("eventTime", "producer", "schemaURL")}
    for namespace, status in (("ml", 201), ("bi", 403)):
        body = about | {"dataset": {"namespace": namespace, "name": "d"}}
        answered(guarded.post(body, headers=bearer(TOKEN)), status)


def test_the_stock_transport_sends_a_token(guarded, folder):
    """`auth: {type: api_key}` of the OpenLineage clients is a bearer token."""
    config = {"url": guarded.url, "auth": {"type": "api_key", "apiKey": TOKEN}}
    run_id = sent_by(HttpTransport(HttpConfig.from_dict(config)), 9)
    assert run_id in run_ids(folder / "guarded" / "log")


def test_a_token_of_the_environment_is_known(tmp_path):
    """MODELTRAIL_TOKEN may do everything, and is never told."""
    with serving(tmp_path / "log", "--log-format", "json", env={"MODELTRAIL_TOKEN": OTHER}) as server:
        answered(server.post(event(1)), 401)
        answered(server.post(event(1), headers=bearer(OTHER)), 201)
    assert OTHER not in (tmp_path / "stderr").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "`token`"),
        ('[[token]]\nname = "a"\nscopes = ["ingest"]', "either"),
        ('[[token]]\nname = "a"\ntoken = "0123456789abcdef"\nscopes = ["write"]', "'write'"),
        ('[[token]]\nname = "a"\ntoken = "short"\nscopes = ["read"]', "length >= 16"),
        ('[[token]]\nname = "a"\ntoken = "0123456789abcdef', "no TOML"),
    ],
)
def test_tokens_that_cannot_be_used_end_the_server(tmp_path, text, said):
    """A mistake in the file is named, with exit code 2 and without showing a token."""
    (tmp_path / "tokens.toml").write_text(text)
    code, told = refused(tmp_path / "log", "--tokens", tmp_path / "tokens.toml")
    assert code == 2
    assert said in told
    assert "0123456789" not in told


def test_beyond_this_machine_it_wants_tokens(tmp_path):
    """Where others can come it starts with tokens, or when told that everybody may send."""
    code, told = refused(tmp_path / "log", "--host", "0.0.0.0")
    assert code == 2
    assert "--tokens" in told
    (tmp_path / "tokens.toml").write_text(TOKENS)
    for options in (["--without-tokens"], ["--tokens", tmp_path / "tokens.toml"]):
        with serving(tmp_path / "log", "--host", "0.0.0.0", *options) as server:
            assert server.post(event(1), headers=bearer(TOKEN)).status_code == 201


def test_it_speaks_tls(tmp_path):
    """With a certificate the stock transport sends by HTTPS, and checks it."""
    make_all(tmp_path)
    tls = ("--tls-cert", tmp_path / "broker.pem", "--tls-key", tmp_path / "broker.key")
    with serving(tmp_path / "log", *tls) as server:
        assert server.url.startswith("https://")
        ours = {"url": server.url, "sslContext": {"caCertPath": str(tmp_path / "ca.pem")}}
        assert sent_by(HttpTransport(HttpConfig.from_dict(ours)), 1) in run_ids(tmp_path / "log")
        with pytest.raises(requests.exceptions.SSLError):
            server.post(event(2), verify=str(tmp_path / "stranger.pem"))


def test_a_certificate_that_cannot_be_used_ends_the_server(tmp_path):
    """A certificate without its key, or with another one, is a mistake of whoever starts it."""
    make_all(tmp_path)
    cert = ("--tls-cert", tmp_path / "broker.pem")
    assert refused(tmp_path / "log", *cert)[0] == 2
    code, told = refused(tmp_path / "log", *cert, "--tls-key", tmp_path / "client.key")
    assert code == 2
    assert "broker.pem" in told


def test_an_address_in_use_ends_the_server(tmp_path):
    """Two servers cannot listen at one port: the second says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, told = refused(tmp_path / "log", "--port", str(taken.getsockname()[1]))
    assert code == 2
    assert "--port" in told


def test_a_log_in_an_object_store_needs_a_broker():
    """An object store has no inbox: the message says what to do."""
    code, told = refused("s3://bucket/log")
    assert code == 2
    assert "--bootstrap-servers" in told


def test_what_it_does_is_in_its_metrics():
    """Requests by status, events by verdict, commits and their failures can be scraped; /health tells."""
    status = ServeStatus()
    status.requests[201] += 3
    status.events["warned"] += 2
    status.commits, status.commit_failures = 5, 1
    with board_served("0", ServeBoard(status)) as url:
        text = requests.get(f"{url}/metrics", timeout=10).text
        assert requests.get(f"{url}/health", timeout=10).status_code == 200
    assert 'modeltrail_serve_requests_total{status="201"} 3.0' in text
    assert 'modeltrail_serve_events_total{verdict="warned"} 2.0' in text
    assert "modeltrail_serve_commits_total 5.0" in text
    assert "modeltrail_serve_commit_failures_total 1.0" in text

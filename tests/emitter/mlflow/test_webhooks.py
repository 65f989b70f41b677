"""MLflow's webhooks: signed by its own code, sent by its own server."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from mlflow.webhooks.types import get_example_payload_for_event

COMMAND = [str(Path(sys.executable).parent / "modeltrail"), "webhooks", "mlflow"]
URI = "http://mlflow.example:5000"
SECRET = "correct horse"


class Receiving:
    """A receiver, and what MLflow would send to it."""

    def __init__(self, address: str, log: Path) -> None:
        self.address = address
        self.log = log

    def send(self, kind, data, *, delivery="d-1", secret=SECRET, age=0, **changed):
        """Sign and send a message, as MLflow does."""
        from mlflow.webhooks import delivery as theirs

        entity, action = kind.split(".")
        message = {
            "entity": entity,
            "action": action,
            "timestamp": "2026-11-27T10:00:00.5+00:00",
            "data": data,
        }
        body = json.dumps(message)
        at = str(int(time.time()) - age)
        headers = {
            theirs.WEBHOOK_DELIVERY_ID_HEADER: delivery,
            theirs.WEBHOOK_TIMESTAMP_HEADER: at,
            theirs.WEBHOOK_SIGNATURE_HEADER: theirs._generate_hmac_signature(secret, delivery, at, body),
        }
        sent = {"data": body, "headers": headers, **changed}
        return requests.post(self.address, timeout=30, **sent)


@pytest.fixture
def receiving(mlflow, here) -> Iterator[Receiving]:
    """A receiver on a free port, ended by SIGTERM, which is a success."""
    process = subprocess.Popen(
        [*COMMAND, "--tracking-uri", URI, "--secret-env", "HOOK", "--listen", "127.0.0.1:0"],
        cwd=here,
        env={**os.environ, "HOOK": SECRET},
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stderr.readline()
    yield Receiving(line.split()[-1], here / "lineage")
    process.send_signal(signal.SIGTERM)
    assert 0 == process.wait(30)
    process.stderr.close()


def told(event):
    """(version, action, version before) of an event."""
    (model,) = event["outputs"]
    assert ("mlflow://mlflow.example:5000", "models/churn") == (model["namespace"], model["name"])
    facet = model["facets"]["modelTrail_registration"]
    return facet["version"], facet.get("action"), facet.get("previous", {}).get("version")


def test_what_happens_to_versions_is_told(receiving, inbox):
    """Versions, tags, and aliases with who had them before; each a run of the job that the bridge has too."""
    name = {"name": "churn"}
    version = {
        **name,
        "source": "models:/m-1f",
        "run_id": "ab",
        "tags": {"team": "shop"},
        "description": None,
    }
    messages = [
        ("registered_model.created", {**name, "tags": {}, "description": None}),
        ("model_version.created", {**version, "version": "1"}),
        ("model_version_tag.set", {**name, "version": "1", "key": "tested", "value": "yes"}),
        ("model_version_alias.created", {**name, "version": "1", "alias": "champion"}),
        ("model_version_alias.created", {**name, "version": "2", "alias": "champion"}),
        ("model_version_alias.deleted", {**name, "alias": "champion"}),
        ("model_version_alias.deleted", {**name, "alias": "never seen"}),
        ("model_version.created", {**version, "version": "3", "source": "models:/churn-dev/7"}),
        ("prompt.created", {**name, "tags": {}, "description": None}),
    ]
    answers = [receiving.send(*each, delivery=f"d-{n}") for n, each in enumerate(messages)]
    assert [200] * len(messages) == [each.status_code for each in answers]
    assert ["0", "1", "1", "1", "2", "1", "0", "1", "0"] == [each.text.split()[0] for each in answers]
    events = inbox(receiving.log)
    assert [
        ("1", "register", None),
        ("1", None, None),
        ("1", "alias_set", None),
        ("2", "alias_set", "1"),
        ("1", "alias_removed", "1"),
        ("2", "alias_removed", "2"),
        ("3", "register", None),
    ] == [told(event) for event in events]
    assert {("churn.register", "COMPLETE", "2026-11-27T10:00:00.5Z")} == {
        (event["job"]["name"], event["eventType"], event["eventTime"]) for event in events
    }
    assert ["logged_models/m-1f"] == [each["name"] for each in events[0]["inputs"]]
    assert ["models/churn-dev"] == [each["name"] for each in events[-1]["inputs"]]
    (tag,) = events[1]["run"]["facets"]["tags"]["tags"]
    assert ("tested", "yes") == (tag["key"], tag["value"])


def test_what_mlflow_tries_a_webhook_out_with_is_no_model(receiving, inbox):
    """`test_webhook` sends an example of each event, which is answered as any other, and tells nothing."""
    kinds = (
        ("model_version", "created"), ("model_version_tag", "set"),
        ("model_version_alias", "created"), ("model_version_alias", "deleted"),
    )  # fmt: skip
    for entity, action in kinds:
        event = WebhookEvent(WebhookEntity(entity), WebhookAction(action))
        answer = receiving.send(f"{entity}.{action}", get_example_payload_for_event(event), delivery=entity)
        assert (200, "0") == (answer.status_code, answer.text.split()[0])
    version = {"name": "example_model", "version": "1", "source": "", "tags": {}}
    assert "1" == receiving.send("model_version.created", version, delivery="own").text.split()[0]


def test_a_delivery_that_is_repeated_is_the_same_event(receiving, inbox):
    """Whatever came in between, to the byte."""
    alias = {"name": "churn", "alias": "champion"}
    for delivery, number in (("d-1", "1"), ("d-2", "2"), ("d-1", "1")):
        receiving.send("model_version_alias.created", {**alias, "version": number}, delivery=delivery)
    events = [each for each in inbox(receiving.log) if told(each) == ("1", "alias_set", None)]
    assert 2 == len(events)
    assert events[0] == events[1]


@pytest.mark.parametrize(
    ("wrong", "status", "reason"),
    [
        ({"secret": "battery staple"}, 401, "signature"),
        ({"age": 301}, 401, "seconds from now"),
        ({"age": -400}, 401, "seconds from now"),
        ({"headers": {}}, 401, "signature"),
    ],
)
def test_what_is_not_of_mlflow_is_refused(wrong, status, reason, receiving):
    """With the reason, and nothing is told."""
    data = {"name": "churn", "alias": "champion", "version": "1"}
    answer = receiving.send("model_version_alias.created", data, **wrong)
    assert status == answer.status_code
    assert reason in answer.text
    assert not receiving.log.exists()


@pytest.mark.parametrize(
    ("length", "status"),
    [(str((1 << 20) + 1), 413), ("9" * 5000, 413), (None, 411), ("many", 411), ("-1", 411)],
)
def test_a_message_of_another_length_is_not_read(length, status, receiving):
    """Too long, or of no length that is told."""
    connection = http.client.HTTPConnection(receiving.address.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", "/")
    if length is not None:
        connection.putheader("Content-Length", length)
    connection.endheaders()
    assert status == connection.getresponse().status
    connection.close()


def test_what_is_no_message_is_refused(receiving):
    """Signed, and without what a message has: 400."""
    answer = receiving.send("model_version_alias.created", {"name": "churn"})
    assert (400, "model_version_alias.created has no 'alias'\n") == (answer.status_code, answer.text)
    for number, data in enumerate((["churn"], {"name": "churn", "version": "1", "tags": ["shop"]})):
        assert 400 == receiving.send("model_version.created", data, delivery=f"e-{number}").status_code
    assert not receiving.log.exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--listen", "0.0.0.0:0"), "can be reached from other machines"),
        (("--listen", "8730"), "give HOST:PORT"),
        (("--secret-env", "NO_SUCH_VARIABLE"), "is not set"),
    ],
)
def test_it_does_not_listen_carelessly(options, reason, here):
    """Without a secret only to this machine; a secret that was asked for has to be there."""
    done = subprocess.run(
        [*COMMAND, "--tracking-uri", URI, *options], cwd=here, capture_output=True, text=True, check=False
    )
    assert 2 == done.returncode
    assert reason in done.stderr


def test_a_real_server_sends_what_we_receive(mlflow, receiving, inbox, plain_server):
    """MLflow's own server, with a webhook that its client made."""
    switched_on = {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    }
    with plain_server(**switched_on) as address:
        client = mlflow.MlflowClient(address)
        kinds = ["model_version.created", "model_version_alias.created", "model_version_alias.deleted"]
        client.create_webhook("lineage", receiving.address, kinds, secret=SECRET)
        client.create_registered_model("churn")
        client.create_model_version("churn", "s3://models/churn")
        client.set_registered_model_alias("churn", "champion", "1")
        wait_for(lambda: 2 == len(inbox(receiving.log)))
        client.delete_registered_model_alias("churn", "champion")
        wait_for(lambda: 3 == len(inbox(receiving.log)))
    assert {("1", "register", None), ("1", "alias_set", None), ("1", "alias_removed", "1")} == {
        told(event) for event in inbox(receiving.log)
    }


def wait_for(happens):
    end = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.1)

"""A log with the churn story, rules that fire on it, and a webhook that can be told to fail."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modeltrail_collector.log import Batch, open_log
from modeltrail_collector.model import LOCAL
from modeltrail_collector.tables import compact

FLOOR = '[[rule]]\nname = "floor"\nkind = "metric"\nmetric = "accuracy"\nbelow = 0.825\n'


class Hook:
    """A webhook on loopback: `got` holds (key, body) of what it took, `answers` what it says next."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict]] = []
        self.headers: list[dict] = []
        self.refused = 0
        self.answers: list[int] = []
        self.always: int | None = None
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                code = hook.always or (hook.answers.pop(0) if hook.answers else 200)
                if code == 200:
                    hook.got.append((self.headers["Idempotency-Key"], body))
                    hook.headers.append(dict(self.headers))
                else:
                    hook.refused += 1
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_) -> None:
                pass

        self._handler = Handler
        self._server = None
        self.port = 0
        self.start()

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def rule(self) -> str:
        return f'[[webhook]]\nname = "ops"\nurl = "http://127.0.0.1:{self.port}/alerts"\ntimeout = "5s"\n'

    @property
    def told(self) -> list[tuple[str, str]]:
        """(status, subject) of what it took, in order."""
        return [(body["status"], body["subject"]) for _, body in self.got]


@pytest.fixture
def hook():
    found = Hook()
    yield found
    found.stop()


class World:
    """A log that grows: events added are compacted before the next turn, as `compact --watch` does."""

    def __init__(self, folder, make) -> None:
        self.log = open_log(folder / "log")
        self.rules = folder / "alerts.toml"
        self.rules.write_text(FLOOR)
        self._make = make

    def add(self, *events) -> None:
        start = self.log.end(LOCAL)
        entries = self._make.entries(events, start=start)
        self.log.append(LOCAL, Batch(start, start + len(entries), entries))
        compact(self.log)

    def told(self) -> list[dict]:
        """The events of alerts in the log: their records' values."""
        entries = [one for segment in self.log.segments(LOCAL) for one in self.log.read(segment)]
        told = [one for one in entries if (one.source or "").startswith("alert:")]
        assert {"accepted"} >= {one.verdict for one in told}
        return [json.loads(one.value) for one in told]

    def statuses(self) -> list[tuple[str, str]]:
        """(status, subject) of the tests that the log tells of, in order."""
        tests = [test for event in self.told() for test in event["run"]["facets"]["test"]["tests"]]
        return [(test["status"], test["params"]["subject"]) for test in tests]


@pytest.fixture
def world(tmp_path, make) -> World:
    """The story up to churn@2, which is below the floor."""
    found = World(tmp_path, make)
    found.add(*make.story()[:8])
    return found


@pytest.fixture
def better(make):
    """The events of churn@3, which is above the floor."""
    return make.story()[8:]

"""A collector over a store that can be stopped: while the file `stall` is there, a put fails, or blocks."""

import json
import sys
import time
from pathlib import Path

from modeltrail_collector.errors import CollectorError, Unavailable
from modeltrail_collector.intake import kafka
from modeltrail_collector.log import Log
from modeltrail_collector.log.store import LocalStore
from modeltrail_collector.pump import Limits
from modeltrail_collector.pump import run as run_
from modeltrail_collector.pump.stop import Stop
from modeltrail_collector.telemetry.boards import CollectorBoard
from modeltrail_collector.telemetry.logs import configure
from modeltrail_collector.telemetry.server import serve


class StallingStore(LocalStore):
    """A directory that does not answer while somebody wants it so."""

    def __init__(self, root: Path, stall: Path, how: str) -> None:
        super().__init__(root)
        self._stall = stall
        self._how = how

    def create(self, name: str, data: bytes) -> bool:
        while self._stall.exists():
            if self._how == "fails":
                raise Unavailable("the store is away")
            time.sleep(0.05)
        return super().create(name, data)


def main(
    *, servers: str, topic: str, log: str, stall: str, how: str, grace_s: float, session_ms: int, age_s: float
) -> None:
    configure("json")
    stop = Stop(grace_s)
    stop.install()
    kafka.CONSUMER_SETTINGS = {**kafka.CONSUMER_SETTINGS, "session_timeout_ms": session_ms}
    run_.open_log = lambda uri: Log(StallingStore(Path(uri), Path(stall), how))
    board = CollectorBoard(1)
    job = run_.Job(kafka.Connection(servers, topic, topic), log, limits=Limits(age_s=age_s))
    with serve("0", board) as url:
        print(url, flush=True)
        try:
            run_.run(job, stop, board.update)
        except CollectorError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))

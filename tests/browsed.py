"""A real `modeltrail serve` that a client of Marquez browses."""

from contextlib import contextmanager
from pathlib import Path

from marquez_asked import Client
from served import serving

from modeltrail_collector.log import open_log
from modeltrail_collector.pump.files import seal_inbox
from modeltrail_collector.tables import compact


def compacted(folder: Path) -> None:
    """Bring the tables of a log up to what was sent."""
    log = open_log(str(folder))
    seal_inbox(log)
    compact(log)


class Ours(Client):
    """What is sent to a server is in the tables before anything is asked."""

    def __init__(self, url: str, log: Path) -> None:
        super().__init__(url)
        self.url, self.log = url, log

    def send(self, *events) -> None:
        super().send(*events)
        compacted(self.log)


@contextmanager
def browsing(folder: Path, *options):
    """A client of a server of its own, whose log lies in `folder`."""
    with serving(folder / "log", *options) as server:
        client = Ours(server.url, folder / "log")
        try:
            yield client
        finally:
            client.close()

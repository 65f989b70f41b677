"""A PostgreSQL server of its own for a test; it refuses to be started by root, and so gives that up."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interop.programs import answers, free_port, until

_FOLDERS = [*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), os.environ["PATH"]]


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join(_FOLDERS))
    assert found, f"no {name} here: `apt-get install postgresql` (make interop needs a PostgreSQL server)"
    return found


@contextmanager
def postgres_server(folder: Path) -> Iterator[int]:
    """The port of a server that trusts everybody on this machine, with a database `shop`."""
    folder.mkdir()
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
        for above in folder.parents:
            if above.owner() == "root" and not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o001)
    data, port = folder / "data", free_port()
    subprocess.run(
        [_program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"],
        check=True, capture_output=True, cwd=folder, **who,
    )  # fmt: skip
    command = [_program("postgres"), "-D", data, "-p", str(port), "-k", folder, "-c", "fsync=off"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stderr=log, cwd=folder, **who) as server,
    ):
        try:
            until(lambda: answers(port))
            _create(port)
            yield port
        finally:
            server.send_signal(signal.SIGINT)  # by SIGTERM it waits for its clients


def _create(port: int) -> None:
    import psycopg

    for _ in range(50):  # it takes connections before it takes commands
        try:
            with psycopg.connect(host="127.0.0.1", port=port, user="postgres", autocommit=True) as connection:
                connection.execute("CREATE DATABASE shop")
        except psycopg.OperationalError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("PostgreSQL does not take commands")

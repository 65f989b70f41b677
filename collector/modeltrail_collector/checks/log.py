"""Whether the store keeps its promises, and how the log and the tables are."""

import secrets
import shutil
import time
from collections.abc import Iterator
from typing import Final

from modeltrail_collector.checks.check import Check
from modeltrail_collector.errors import CollectorError, ConfigError, LogFormatError, NotVerified, Unavailable
from modeltrail_collector.log import Log, open_log
from modeltrail_collector.log.objects import ObjectStore
from modeltrail_collector.log.store import LocalStore, Store
from modeltrail_schemas.words import counted

LITTLE_BYTES: Final = 1 << 30
NOTHING_BYTES: Final = 128 << 20
SKEW_S: Final = 5.0


def log_checks(uri: str) -> Iterator[Check]:
    """All checks of one log."""
    try:
        log = open_log(uri)
        yield from _store(log.store)
    except CollectorError as error:
        unreachable = isinstance(error, Unavailable) and "://" in uri
        yield Check("log store", "fail", str(error), _store_advice(error, uri), unreachable=unreachable)
        return
    try:
        yield _segments(log)
        yield from _tables(log)
    except CollectorError as error:
        yield Check("log", "fail", str(error), "see above", unreachable=isinstance(error, Unavailable))


def _store_advice(error: CollectorError, uri: str) -> str:
    if "://" in uri:
        return "check the bucket, its region, AWS_ENDPOINT_URL and the credentials"
    if isinstance(error, ConfigError):
        return "choose another --log"
    return f"give this user the right to write below {uri}, or choose another --log"


def _store(store: Store) -> Iterator[Check]:
    """A trial of what the log rests on, with an object that is removed again."""
    name = f"doctor-{secrets.token_hex(8)}"
    try:
        store.create(name, b"1")
        skew_s = _skew(store, name)
        if store.create(name, b"2"):
            yield Check(
                "log store",
                "fail",
                f"{store.uri} overwrites a name that is taken: it knows no put-if-absent (If-None-Match)",
                "use a store that does: two collectors would overwrite each other's segments here",
            )
        elif store.replace(name, b"2", b"3") or not store.replace(name, b"1", b"3"):
            yield Check(
                "log store",
                "fail",
                f"{store.uri} does not compare before it replaces (If-Match)",
                "use a store that does: maintenance could lose what another process wrote",
            )
        elif store.read(name) != b"3":
            yield Check(
                "log store", "fail", f"{store.uri} gives back something else than was written", "use another"
            )
        else:
            yield Check("log store", "ok", f"{store.uri} can be written, and never overwrites a segment")
    finally:
        store.remove(name)
    if isinstance(store, LocalStore):
        yield _space(store)
    if skew_s is not None:
        yield _clock(store, skew_s)


def _skew(store: Store, name: str) -> float | None:
    """How far the store's clock is ahead of ours."""
    if isinstance(store, ObjectStore):
        return store.modified(name).timestamp() - time.time()
    if isinstance(store, LocalStore):
        return (store.root / name).stat().st_mtime - time.time()
    return None


def _clock(store: Store, skew_s: float) -> Check:
    if abs(skew_s) > SKEW_S:
        where = "ahead of" if skew_s > 0 else "behind"
        return Check(
            "log clock",
            "warn",
            f"the clock of {store.uri} is {abs(skew_s):.0f} s {where} this machine's",
            "run NTP on both; object stores refuse requests that are 15 minutes off",
        )
    return Check("log clock", "ok", "the store's clock and this machine's agree")


def _space(store: LocalStore) -> Check:
    usage = shutil.disk_usage(store.root)
    found = f"{usage.free / 2**30:.1f} GiB of {usage.total / 2**30:.1f} GiB free at {store.root}"
    if usage.free < LITTLE_BYTES:
        return Check(
            "log disk",
            "fail" if usage.free < NOTHING_BYTES else "warn",
            found,
            "make room: a full disk stops collecting, and loses nothing",
        )
    return Check("log disk", "ok", found)


def _segments(log: Log) -> Check:
    """The last segment of each chain, which is all that a power cut can tear."""
    partitions = log.partitions()
    try:
        for partition in partitions:
            for last in log.segments(partition, max(log.end(partition) - 1, 0)):
                for _ in log.read(last):
                    pass
    except LogFormatError as error:
        return Check("log", "fail", str(error), "pip install --upgrade 'modeltrail[collector]'")
    except NotVerified as error:
        advice = (
            "start `modeltrail collect`: it sets a torn last segment aside and collects its offsets again"
        )
        return Check("log", "fail", str(error), f"{advice}. `modeltrail verify` looks at all of them")
    waiting = sum(path.stat().st_size > 0 for path in log.inbox.glob("*.ndjson")) if log.inbox else 0
    if waiting and not partitions:
        found = f"nothing is sealed yet; files of events in {log.inbox}: {waiting}"
        return Check("log", "warn", found, "modeltrail compact")
    if not partitions:
        return Check("log", "ok", "holds nothing yet")
    chains = counted(len(partitions), "chain")
    return Check("log", "ok", f"the ends of {chains} are whole (`modeltrail verify` looks at all)")


def _tables(log: Log) -> Iterator[Check]:
    from modeltrail_collector.tables import (
        ROWS_VERSION,
        newest_ingested_at,
        rows_version,
        segments_behind,
    )

    behind, newest = segments_behind(log), newest_ingested_at(log)
    if behind:
        since = f"; their newest record is of {newest:%Y-%m-%d %H:%M:%S} UTC" if newest else ""
        yield Check(
            "tables",
            "warn",
            f"{counted(behind, 'segment', 'is', 'are')} not in the tables yet{since}",
            "modeltrail compact",
        )
    else:
        yield Check("tables", "ok", "hold all of the log")
    version = rows_version(log) or ROWS_VERSION
    made = f"their rows were made by the rules of version {version}; this modeltrail's are {ROWS_VERSION}"
    if version < ROWS_VERSION:
        yield Check("table rows", "warn", f"{made}: some answers may be wrong", "modeltrail rebuild")
    elif version > ROWS_VERSION:
        yield Check("table rows", "warn", made, "pip install --upgrade 'modeltrail[collector]'")

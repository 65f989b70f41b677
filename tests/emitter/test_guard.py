"""The guest's promise: nothing of ours reaches the host."""

import gc
import logging
import os
import signal
import weakref

import pytest

from modeltrail import guard, testing


@pytest.fixture(autouse=True)
def fresh():
    testing.reset()
    yield
    testing.reset()


def test_an_exception_stays_inside():
    """An Exception inside `guarded` does not leave it, and the program goes on after the block."""
    after = False
    with guard.guarded("looking"):
        raise OSError("disk on fire")
    after = True
    assert after


@pytest.mark.parametrize("passing", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_program_passes(passing):
    """KeyboardInterrupt, SystemExit and GeneratorExit are the host's and pass."""
    with pytest.raises(passing), guard.guarded("looking"):
        raise passing


def test_a_failure_is_logged_once_per_kind(caplog):
    """The first failure of a kind is a warning that names it; the next ones are only counted."""
    with caplog.at_level(logging.WARNING, logger="modeltrail"):
        for _ in range(3):
            with guard.guarded("looking"):
                raise OSError("disk on fire")
        with guard.guarded("looking"):
            raise ValueError("odd")
    assert [
        "looking failed, your program goes on: OSError: disk on fire",
        "looking failed, your program goes on: ValueError: odd",
    ] == caplog.messages
    assert {"looking: OSError": 3, "looking: ValueError": 1} == guard.failures()


def test_what_was_caught_is_dealt_with_as_by_a_block():
    """It is counted under the same kind; who asked for strictness is to have it raised."""
    error = OSError("disk on fire")
    assert guard.is_kept("looking", error)
    with testing.strict():
        assert not guard.is_kept("looking", error)
    assert {"looking: OSError": 2} == guard.failures()


def test_strict_raises(monkeypatch):
    """With MODELTRAIL_STRICT, or inside `testing.strict`, the failure is raised, and counted all the same."""
    monkeypatch.setenv("MODELTRAIL_STRICT", "1")
    with pytest.raises(OSError, match="disk"), guard.guarded("looking"):
        raise OSError("disk on fire")
    monkeypatch.delenv("MODELTRAIL_STRICT")
    with testing.strict(), pytest.raises(OSError, match="disk"), guard.guarded("looking"):
        raise OSError("disk on fire")
    with guard.guarded("looking"):
        raise OSError("disk on fire")
    assert {"looking: OSError": 3} == guard.failures()


def test_an_error_that_cannot_describe_itself(caplog):
    """An exception whose text raises does not break the guard."""

    class BrokenError(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    with guard.guarded("looking"):
        raise BrokenError
    assert "(no message)" in caplog.text


def test_a_warning_appears_once(caplog):
    """`warn_once` logs the first of a kind only."""
    for _ in range(2):
        guard.warn_once("kind", "seen %s", "it")
    assert ["seen it"] == caplog.messages


def test_a_fork_during_a_failure_does_not_lock_the_child():
    """A child forked while another thread of the parent counts a failure can still count its own."""
    with guard._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # a child that waits for the lock for ever shall not stay
            guard.note("looking", OSError("in the child"))
            os._exit(7 if guard.failures() else 1)
    assert 7 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("was_enabled", [True, False])
def test_garbage_waits_for_a_block_that_makes_none(was_enabled):
    """In an `uncollected` block nothing is collected; after it all is as the host had it."""
    seen = []
    gc.callbacks.append(lambda phase, _: seen.append(phase))
    try:
        if not was_enabled:
            gc.disable()
        with guard.uncollected():
            seen.clear()
            kept = [[] for _ in range(10_000)]
            assert ([], 10_000) == (seen, len(kept))
        assert gc.isenabled() is was_enabled
    finally:
        gc.enable()
        gc.callbacks.pop()


class Linked:
    """An object that only a collection can take away."""

    def __init__(self) -> None:
        self.itself = self


def test_what_a_block_made_is_old_and_garbage_from_before_it_is_gone():
    """Collections of what is young pass over what an `uncollected` block made; no garbage grows old by it."""
    before = Linked()
    gone = weakref.ref(before)
    del before
    gc.unfreeze()  # Python 3.12 itself begins with objects that are kept out of collections
    with guard.uncollected():
        assert gone() is None
        kept = [[] for _ in range(10_000)]
    young = {id(each) for generation in (0, 1) for each in gc.get_objects(generation)}
    assert young.isdisjoint(map(id, kept))


def test_what_a_host_keeps_out_of_collections_stays_out():
    """Objects that the host froze are frozen after an `uncollected` block."""
    gc.freeze()
    try:
        with guard.uncollected():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()

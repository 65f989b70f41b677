"""`track`, `current_run`, `flush`, `configure`: the verbs beside the run."""

import asyncio
import inspect
import subprocess
import sys
import traceback

import pytest

import modeltrail
from modeltrail import guard


@modeltrail.track
def add(a: int, b: int = 2, *, data: object = None) -> int:
    """Adds."""
    return a + b


@modeltrail.track(name="named", job_type="FEATURE")
def named() -> object:
    return modeltrail.current_run()


@modeltrail.track
def broken(calls: list) -> None:
    calls.append(1)
    raise ValueError("mine")


@modeltrail.track
async def slow(value: int) -> object:
    await asyncio.sleep(0)
    return value, modeltrail.current_run()


@modeltrail.track
def count(stop: int):
    for number in range(stop):
        try:
            sent = yield number, modeltrail.current_run()
        except KeyError as error:
            sent = repr(error)
        if sent:
            yield sent, None
    return "done"


class Trainer:
    @modeltrail.track
    def fit(self, rate: float) -> tuple:
        return self, rate

    @modeltrail.track
    @classmethod
    def make(cls, rate: float) -> tuple:
        return cls, rate

    @staticmethod
    @modeltrail.track
    def static(rate: float) -> float:
        return rate


def test_a_tracked_call_is_a_run(events):
    """A tracked call is a run named after the function, with its plain arguments as parameters."""
    assert 5 == add(3, data=object())
    assert ["START", "COMPLETE"] == [event["eventType"] for event in events]
    assert f"{__name__}.add" == events[-1]["job"]["name"]
    params = events[-1]["run"]["facets"]["modelTrail_hyperparameters"]["params"]
    assert {("a", 3, "explicit"), ("b", 2, "default")} == {
        (each["name"], each["value"], each["origin"]) for each in params
    }


def test_a_tracked_function_keeps_its_face():
    """Signature, name, docstring and pickling are those of the original."""
    assert "(a: int, b: int = 2, *, data: object = None) -> int" == str(inspect.signature(add))
    assert ("add", "Adds.") == (add.__name__, add.__doc__)
    assert inspect.iscoroutinefunction(slow)
    assert inspect.isgeneratorfunction(count)


def test_a_tracked_function_pickles_by_name(tmp_path):
    """A tracked function of an importable module pickles and unpickles as itself."""
    (tmp_path / "mine.py").write_text("import modeltrail\n@modeltrail.track\ndef work(): return 5\n")
    code = "import mine, pickle; assert pickle.loads(pickle.dumps(mine.work)) is mine.work"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_it_runs_in_the_run(events):
    """Inside a tracked call the current run is its run, afterwards it is none."""
    run = named()
    assert "named" == run.name
    assert not run.is_open
    assert modeltrail.current_run() is None
    assert "FEATURE" == events[-1]["job"]["facets"]["jobType"]["jobType"]


def test_methods_stay_methods(events):
    """Methods, class methods and static methods are called as before."""
    trainer = Trainer()
    assert (trainer, 0.1) == trainer.fit(0.1)
    assert (Trainer, 0.2) == Trainer.make(0.2)
    assert 0.3 == Trainer.static(0.3)
    assert 6 == len(events)
    assert f"{__name__}.Trainer.fit" == events[0]["job"]["name"]


def test_an_exception_is_the_hosts_own(events):
    """The exception of a tracked function is the same object, with one frame of ours and no context."""
    calls: list[int] = []
    with pytest.raises(ValueError, match="mine") as caught:
        broken(calls)
    assert [1] == calls
    assert caught.value.__context__ is None
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "broken" == frames[-1]
    assert 3 >= len(frames)
    assert "FAIL" == events[-1]["eventType"]


def test_a_coroutine_is_tracked_until_it_ends(events):
    """A tracked coroutine function gives a coroutine; tasks side by side have each its own run."""

    async def both() -> list:
        return await asyncio.gather(slow(1), slow(2))

    (one, first), (two, second) = asyncio.run(both())
    assert (1, 2) == (one, two)
    assert first is not second
    assert 4 == len(events)


def test_a_generator_is_tracked_while_it_works(events):
    """A tracked generator's run is current inside of it, and not in its caller between two values."""
    seen = []
    for number, run in count(3):
        seen.append(number)
        assert run is not None
        assert modeltrail.current_run() is None
    assert [0, 1, 2] == seen
    assert ["START", "COMPLETE"] == [event["eventType"] for event in events]


def test_a_generator_keeps_its_protocol(events):
    """Sending, throwing, closing and the returned value work as without tracking."""
    generator = count(2)
    assert 0 == next(generator)[0]
    assert ("sent", None) == generator.send("sent")
    assert 1 == next(generator)[0]
    assert ("KeyError('x')", None) == generator.throw(KeyError("x"))
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert "done" == stopped.value.value
    early = count(5)
    next(early)
    early.close()
    assert ["COMPLETE", "COMPLETE"] == [
        event["eventType"] for event in events if event["eventType"] != "START"
    ]


def test_a_generator_that_fails_fails_its_run(events):
    """An exception inside a tracked generator reaches the caller and fails the run."""
    generator = count(1)
    next(generator)
    with pytest.raises(LookupError):
        generator.throw(LookupError("gone"))
    assert "FAIL" == events[-1]["eventType"]


def test_async_generators_are_left_alone(caplog):
    """An async generator function is returned as it is, with a warning."""
    modeltrail.testing.reset()

    async def values():
        yield 1

    assert values is modeltrail.track(values)
    assert "not tracked" in caplog.text


def test_a_call_that_cannot_be_recorded_runs_once():
    """If our start fails the function runs exactly once all the same, and gives what it gives."""
    calls = []

    @modeltrail.track
    def work(value: object) -> str:
        calls.append(value)
        return "result"

    modeltrail.testing.reset()
    work.__wrapped__.__signature__ = "no signature"
    assert "result" == work(5)
    assert [5] == calls
    assert guard.failures()
    modeltrail.testing.reset()


def test_arguments_that_do_not_fit_are_the_hosts_error(events):
    """A call with wrong arguments raises the function's own TypeError."""
    with modeltrail.testing.strict(on=False), pytest.raises(TypeError, match="unexpected keyword"):
        add(1, nonsense=2)


def test_current_run_is_the_innermost(events):
    """`current_run` is None outside of runs, and the innermost one inside."""
    assert modeltrail.current_run() is None
    with modeltrail.run("outer") as outer:
        assert modeltrail.current_run() is outer
        with modeltrail.run("inner") as inner:
            assert modeltrail.current_run() is inner
        assert modeltrail.current_run() is outer


def test_flush_says_whether_all_is_durable(events):
    """`flush` is true where everything is kept."""
    assert modeltrail.flush()
    assert modeltrail.flush(timeout=0.1)


def test_configure_wins(monkeypatch, events):
    """`configure` sets the namespace of later runs, whatever the environment says."""
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "environment")
    assert "environment" == modeltrail.run("a").namespace
    modeltrail.configure(namespace="code")
    assert "code" == modeltrail.run("a").namespace
    modeltrail.configure(namespace=None)


def test_unknown_names_are_no_attributes():
    """A name that is not public raises AttributeError."""
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        modeltrail.nonsense  # noqa: B018

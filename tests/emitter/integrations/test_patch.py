"""The patcher: calls pass through once and untouched, the outermost is observed, and all can be undone."""

import os
import pickle
import random
import sys
import threading
import types
import warnings
from pathlib import Path

import polars as pl
import pytest

from modeltrail import guard
from modeltrail.integrations import _calls, _imports, _patch, _wrappers


class Library:
    """Stands for a foreign class."""

    def outer(self, value, *, more=1):
        """Call the inner one twice."""
        return self.inner(value) + self.inner(more)

    def inner(self, value):
        return value

    @staticmethod
    def static(value):
        return value

    @classmethod
    def made(cls, value):
        return cls, value


seen = []


def watch(call):
    seen.append((call.function.__name__, call.arguments()))

    def finish(result, error):
        seen.append((result, error))

    return finish


def failing(_):
    raise ZeroDivisionError("ours")


@pytest.fixture(autouse=True)
def undone():
    seen.clear()
    guard.reset()
    yield
    _patch.undo("test")
    guard.reset()


def test_a_call_is_seen_from_both_sides():
    """The observer gets the arguments before the call and the result after it."""
    _patch.wrap("test", Library, "outer", watch)
    library = Library()
    assert 5 == library.outer(3, more=2)
    assert [("outer", {"self": library, "value": 3, "more": 2}), (5, None)] == seen


def test_inner_calls_are_silent():
    """Of nested observed calls only the outermost is observed."""
    _patch.wrap("test", Library, "outer", watch)
    _patch.wrap("test", Library, "inner", watch)
    assert 4 == Library().outer(3)
    assert 2 == len(seen)
    assert 7 == Library().inner(7)
    assert 4 == len(seen)


def test_static_and_class_methods_stay_what_they_are():
    """Static and class methods are observed, and still bind as they did."""
    _patch.wrap("test", Library, "static", watch)
    _patch.wrap("test", Library, "made", watch)
    assert (1, 2, (Library, 3)) == (Library.static(1), Library().static(2), Library.made(3))
    assert isinstance(vars(Library)["static"], staticmethod)
    assert 6 == len(seen)


def test_only_what_a_class_has_itself_is_wrapped():
    """An inherited method, a plain attribute and an absent name are left alone."""

    class Child(Library):
        number = 3

    for name in ("inner", "number", "nothing"):
        _patch.wrap("test", Child, name, watch)
    assert not _patch.is_active("test")
    _patch.wrap("test", int, "bit_length", watch)
    assert (False, 2) == (_patch.is_active("test"), (3).bit_length())


def test_the_host_s_exception_passes_untouched():
    """What the original raises passes, the same object, with nothing chained; the observer hears of it."""
    error = KeyboardInterrupt()

    def interrupt(self):
        raise error

    Library.stop = interrupt
    _patch.wrap("test", Library, "stop", watch)
    with pytest.raises(KeyboardInterrupt) as caught:
        Library().stop()
    assert (error, None, None) == (caught.value, error.__cause__, error.__context__)
    assert (None, error) == seen[1]
    _patch.undo("test")
    del Library.stop


def test_our_failure_before_the_call_is_counted():
    """An observer that fails does not keep the call from running, once."""
    _patch.wrap("test", Library, "inner", failing)
    assert 3 == Library().inner(3)
    assert {"observing Library.inner: ZeroDivisionError": 1} == guard.failures()


def failing_later(call):
    return failing


def test_our_failure_after_the_call_is_counted():
    """An observer that fails afterwards changes neither the result nor the host's exception."""
    _patch.wrap("test", Library, "inner", failing_later)
    assert 3 == Library().inner(3)
    with pytest.raises(TypeError, match="positional argument"):
        Library().inner()
    assert {"observing Library.inner: TypeError": 2} == guard.failures()


def test_threads_that_a_call_starts_belong_to_it():
    """A thread born during an observed call is part of it; one that was there before is not."""
    go, done = threading.Event(), threading.Event()
    early = threading.Thread(target=lambda: (go.wait(5), Library().inner("early"), done.set()))
    early.start()

    def work(self):
        late = threading.Thread(target=lambda: Library().inner("late"))
        late.start()
        late.join()
        go.set()
        done.wait(5)

    Library.work = work
    _patch.wrap("test", Library, "work", watch)
    _patch.wrap("test", Library, "inner", watch)
    Library().work()
    early.join()
    assert ["work", "inner"] == [first for first, _ in seen if isinstance(first, str) and first != "early"]
    _patch.undo("test")
    del Library.work


def test_threads_that_others_start_meanwhile_do_not():
    """A thread that another thread starts during an observed call is none of its own; its own ones' are."""
    go, done = threading.Event(), threading.Event()

    def in_a_thread(work):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    def elsewhere():
        go.wait(5)
        in_a_thread(lambda: Library().inner("other"))
        done.set()

    def work(self):
        in_a_thread(lambda: in_a_thread(lambda: Library().inner("own")))
        go.set()
        done.wait(5)

    other = threading.Thread(target=elsewhere)
    other.start()
    Library.work = work
    _patch.wrap("test", Library, "work", watch)
    _patch.wrap("test", Library, "inner", watch)
    Library().work()
    other.join()
    told = [second.get("value") for _, second in seen if isinstance(second, dict)]
    assert [None, "other"] == told
    original = threading.Thread.start.__wrapped__
    _patch.undo("test")
    assert original is threading.Thread.start
    del Library.work


def test_a_warning_names_the_line_that_it_would_without_us():
    """`stacklevel` counts the host's frames only."""

    def warn(self, level):
        warnings.warn("mind", stacklevel=level)

    def outer_of_warn(self, level):
        self.warn(level)

    Library.warn, Library.outer_of_warn = warn, outer_of_warn
    for seeing, after in ((_patch.wrap, watch), (_patch.follow, lambda *_: None)):
        check_lines(seeing, after)
    assert 6 == len(seen)
    del Library.warn, Library.outer_of_warn


def check_lines(seeing, after):
    seeing("test", Library, "warn", after)
    for level in (1, 2, 3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            line = sys._getframe().f_lineno + 1
            Library().outer_of_warn(level)
        assert [__file__] == [each.filename for each in caught]
        assert (level == 3) == (line == caught[0].lineno)
    _patch.undo("test")


def test_what_is_activated_together_is_wrapped_at_the_end(monkeypatch):
    """Functions that several want are wrapped once, in one look at all modules, by the first of them."""
    home = types.ModuleType("home_of_it")
    exec("def save(value):\n    return value", vars(home))
    monkeypatch.setitem(sys.modules, "home_of_it", home)
    original = home.save
    with _patch.together():
        _patch.wrap_function("gone", home.save, failing)
        _patch.undo("gone")
        _patch.wrap_function("test", home.save, watch)
        _patch.wrap_function("second", home.save, watch)
        assert original is home.save
    assert (1, original) == (home.save(1), home.save.__wrapped__)
    assert 2 == len(seen)
    _patch.undo("test")
    assert "second" == vars(home.save)["__modeltrail__"]
    _patch.undo("second")
    assert original is home.save


def test_a_function_is_found_wherever_it_is_held(monkeypatch):
    """A function is wrapped under every name that a loaded module has for it, and pickles from all."""
    home, user = types.ModuleType("home_of_it"), types.ModuleType("user_of_it")
    exec("def save(value):\n    return value", vars(home))
    user.store = home.save
    for module in (home, user):
        monkeypatch.setitem(__import__("sys").modules, module.__name__, module)
    original = home.save
    _patch.wrap_function("test", home.save, watch)
    _patch.wrap_function("test", home.save, watch)
    assert (1, original) == (user.store(1), user.store.__wrapped__)
    assert 2 == len(seen)
    assert home.save is pickle.loads(pickle.dumps(user.store))
    _patch.undo("test")
    assert original is home.save is user.store


def test_classes_yet_to_come_are_seen():
    """Every subclass is seen once it is defined, and its own `__init_subclass__` still runs."""

    class Base:
        def __init_subclass__(cls, mark=None, **kwargs):
            super().__init_subclass__(**kwargs)
            cls.mark = mark

    class First(Base, mark=1):
        pass

    found = []
    _patch.on_subclass("test", Base, found.append)

    class Second(First, mark=2):
        pass

    assert ([Base, First, Second], 2) == (found, Second.mark)
    _patch.undo("test")

    class Third(Base, mark=3):
        pass

    assert (3, 3) == (len(found), Third.mark)


def test_a_base_without_a_hook_gets_one_and_loses_it():
    """A base class that has no `__init_subclass__` has none again after `undo`."""

    class Base:
        pass

    _patch.on_subclass("test", Base, seen.append)
    assert "__init_subclass__" in vars(Base)
    _patch.undo("test")
    assert "__init_subclass__" not in vars(Base)


def test_a_module_that_fails_to_import_fails_as_ever(tmp_path, monkeypatch):
    """A waited-for module that raises on import raises its own error; a hook that fails harms no import."""
    (tmp_path / "broken_mod.py").write_text("raise RuntimeError('theirs')")
    (tmp_path / "fine_mod.py").write_text("x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("broken_mod", "fine_mod", "no_such_mod"):
        _imports.when_imported(name, failing)
    with pytest.raises(RuntimeError, match="theirs"):
        __import__("broken_mod")
    assert 1 == __import__("fine_mod").x
    with pytest.raises(ModuleNotFoundError, match="no_such_mod"):
        __import__("no_such_mod")
    assert {"activating an integration for fine_mod: ZeroDivisionError": 1} == guard.failures()
    _imports.forget_imports()


def inside(call, result):
    seen.append(("inside", call.args[1:], result))


def test_calls_that_an_observed_one_makes_are_seen_inside():
    """Inside observers see what an observed call calls, once it is done; alone it is not seen."""
    _patch.wrap("test", Library, "outer", watch)
    _patch.wrap_inside("test", Library, "inner", inside)
    library = Library()
    assert 7 == library.inner(7)
    assert [] == seen
    assert 3 == library.outer(2)
    assert [("inside", (2,), 2), ("inside", (1,), 1)] == seen[1:3]
    _patch.undo("test")
    assert not hasattr(Library.inner, "__modeltrail__")


def failing_inside(*_):
    raise ZeroDivisionError("ours")


def test_a_failure_inside_is_ours():
    """What an inside observer raises is counted, and the call returns what it returns."""
    _patch.wrap("test", Library, "outer", watch)
    _patch.wrap_inside("test", Library, "inner", failing_inside)
    assert 3 == Library().outer(2)
    assert {"observing Library.inner: ZeroDivisionError": 2} == guard.failures()


def test_what_two_want_stays_wrapped_once_until_both_let_go():
    """The second of two integrations wraps what the first held once that is undone, and puts it back."""
    original = Library.outer
    try:
        _patch.wrap("test", Library, "outer", watch)
        _patch.wrap("other", Library, "outer", watch)
        assert original is Library.outer.__wrapped__
        Library().outer(2)
        assert 2 == len(seen)
        _patch.undo("test")
        assert "other" == vars(Library.outer)["__modeltrail__"]
        assert original is Library.outer.__wrapped__
    finally:
        _patch.undo("other")
    assert original is Library.outer


def test_what_the_first_keeps_the_second_forgets():
    """Undoing the integration that came second leaves the first its wrapper, and does not come back."""
    original = Library.outer
    _patch.wrap("test", Library, "outer", watch)
    _patch.wrap("other", Library, "outer", watch)
    _patch.undo("other")
    assert "test" == vars(Library.outer)["__modeltrail__"]
    _patch.undo("test")
    assert original is Library.outer


def remember(function, result, args, kwargs):
    seen.append((function.__name__, result, args[1:], dict(kwargs)))


def remember_and_call(function, result, args, kwargs):
    remember(function, result, args, kwargs)
    args[0].inner(0)


def fail_after(*_):
    raise ZeroDivisionError("ours")


def test_every_call_of_a_followed_function_is_seen():
    """Inner ones too, each after it returned."""
    _patch.follow("test", Library, "outer", remember)
    _patch.follow("test", Library, "inner", remember)
    assert 5 == Library().outer(3, more=2)
    assert [("inner", 3, (3,), {}), ("inner", 2, (2,), {}), ("outer", 5, (3,), {"more": 2})] == seen


def test_our_own_calls_are_not_followed():
    """What is ours may use the library, which the host does not hear of."""
    _patch.follow("test", Library, "inner", remember_and_call)
    Library().inner(1)
    assert 1 == len(seen)


def test_a_property_is_followed(monkeypatch):
    """A property stays one, with its setter and its words."""

    def value(self):
        """The value."""
        return 7

    original = property(value, lambda self, new: None)
    monkeypatch.setattr(Library, "value", original, raising=False)
    _patch.follow("test", Library, "value", remember)
    assert 7 == Library().value
    assert [("value", 7, (), {})] == seen
    assert (original.fset, "The value.") == (Library.value.fset, Library.value.__doc__)
    _patch.undo("test")
    assert original is vars(Library)["value"]


def test_functions_are_followed_wherever_they_are():
    """Several at once, in all modules that have them, under any name."""
    first, second = (types.ModuleType(name) for name in ("first", "second"))
    here = [function_of(name) for name in "ab"]
    first.a, first.b, second.other = here[0], here[1], here[0]
    sys.modules.update({"first": first, "second": second})
    try:
        _patch.follow_functions("test", here, remember)
        assert (1, 1, 1) == (first.a(1), first.b(1), second.other(1))
        assert ["a", "b", "a"] == [name for name, *_ in seen]
        assert first.a is second.other
        _patch.undo("test")
        assert here == [first.a, first.b]
    finally:
        for name in ("first", "second"):
            del sys.modules[name]


def function_of(name):
    def function(value):
        return value

    function.__name__ = name
    return function


def test_what_fails_after_a_call_is_ours_alone():
    """The host has its result, and its own exceptions with one frame of ours in between."""
    _patch.follow("test", Library, "outer", fail_after)
    assert 4 == Library().outer(3)
    assert {"following a call: ZeroDivisionError": 1} == guard.failures()
    with pytest.raises(TypeError) as caught:
        Library().outer(None, more=1)
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    files = [entry.frame.code.raw.co_filename for entry in caught.traceback]
    assert [False, True, False] == [file == _wrappers.UNCOUNTED for file in files]


def test_what_happens_at_each_step_is_followed_without_a_detour():
    """What was given is seen after each call until all is undone; what fails then is ours alone."""
    _patch.follow_simply(
        "test", Library, "inner", lambda _, __, *given: seen.append((given[0][1:], given[1]))
    )
    _patch.follow_simply("test", Library, "outer", fail_after)
    assert 5 == Library().outer(3, more=2)
    assert [((3,), {}), ((2,), {})] == seen
    assert {"following a call: ZeroDivisionError": 1} == guard.failures()
    held = Library.inner
    _patch.undo("test")
    assert (5, 7) == (Library().outer(3, more=2), held(Library(), 7))
    assert 2 == len(seen)


@pytest.mark.parametrize("given", [[], {"a": ("x", [print, len])}, {1, 2}, list(range(100)), int])
def test_what_is_followed_as_a_whole_is_not_followed_inside(given):
    """What it calls is a part of it, whatever of Python's own it was given."""
    _patch.follow_whole("test", Library, "outer", remember)
    _patch.follow_simply("test", Library, "inner", remember)
    Library.whole = lambda self, given: self.inner(1)
    try:
        _patch.follow_whole("test", Library, "whole", remember)
        assert (4, 1) == (Library().outer(3), Library().whole(given))
    finally:
        _patch.undo("test")
        del Library.whole
    assert [("outer", 4), ("<lambda>", 1)] == [each[:2] for each in seen]


ENDLESS = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "given", [watch, [watch], {"a": ["x", watch]}, {"a": (1, watch)}, Library, list(range(101)), ENDLESS]
)
def test_what_a_function_of_the_host_s_calls_is_followed(given):
    """A call that is followed as a whole may be given one, alone or among others; a class is one too."""
    Library.whole = lambda self, given: self.inner(1)
    _patch.follow_simply("test", Library, "inner", remember)
    try:
        _patch.follow_whole("test", Library, "whole", remember)
        assert 1 == Library().whole(given)
    finally:
        _patch.undo("test")
        del Library.whole
    assert [("inner", 1), ("<lambda>", 1)] == [each[:2] for each in seen]


def test_a_followed_function_is_of_its_library():
    """Where polars looks for the first frame outside of its files, to say where to warn, ours is in one."""
    _patch.follow_functions("test", [pl.concat], remember)
    place = pl.concat.__code__.co_filename
    _patch.undo("test")
    assert Path(place).parent == Path(pl.__file__).parent


def test_a_builtin_stays_one():
    """A builtin or bound method binds to no class, and pickles, as it did."""
    _patch.wrap_function("test", random.seed, watch)
    kept = type("Kept", (), {"seed": random.seed})
    kept().seed(3)
    drawn = random.random()
    assert seen
    pickle.loads(pickle.dumps(random.seed))(3)  # a generator of its own, of the same state
    assert drawn != random.random()
    _patch.undo("test")
    random.seed(3)
    assert drawn == random.random()


def test_a_forked_child_waits_for_no_thread_of_its_parent():
    """A lock that another thread held, and calls that others were in, are not the child's."""
    _patch.wrap("test", Library, "outer", watch)
    held, done = threading.Event(), threading.Event()

    def hold():
        with _patch._lock, _calls._lock:
            _calls._going_on[threading.get_ident()] = _calls._Call()
            held.set()
            done.wait(30)
            del _calls._going_on[threading.get_ident()]

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    if (child := os.fork()) == 0:
        Library().outer(3)
        os._exit(7 if seen else 8)
    for _ in range(200):
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        threading.Event().wait(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
    done.set()
    thread.join()
    assert (child, 7) == (found, os.waitstatus_to_exitcode(status))

"""`@track`: a function whose calls are runs."""

import enum
import functools
import inspect
import os
from collections.abc import Callable, Generator, Mapping
from typing import Any, ParamSpec, TypeVar, overload

from modeltrail import context
from modeltrail.guard import guarded, warn_once
from modeltrail.runs import Run

P = ParamSpec("P")
R = TypeVar("R")


@overload
def track(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def track(
    *, name: str | None = None, job_type: str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def track(function: Any = None, /, *, name: str | None = None, job_type: str | None = None) -> Any:
    """Record each call of a function as a run; its plain arguments become parameters.

    Works on functions, methods, coroutine functions and generators, the latter from the first value asked for
    to the last. The function runs exactly once, whatever happens to us; signature, name and pickling stay.

    Args:
        function: what is decorated, where `@track` stands without arguments.
        name: of the job; without it the function's dotted name, in a script its plain name.
        job_type: as of `modeltrail.run`.
    """
    if function is None:
        return lambda found: _tracked(found, name, job_type)
    return _tracked(function, name, job_type)


def _tracked(function: Any, name: str | None, job_type: str | None) -> Any:
    if inspect.isasyncgenfunction(function):
        warn_once("async generator", "%s is an async generator: it is not tracked", function.__qualname__)
        return function
    if isinstance(function, staticmethod | classmethod):
        return type(function)(_tracked(function.__func__, name, job_type))
    return _wrapped(function, lambda args, kwargs: _run_of(function, args, kwargs, name, job_type))


Open = Callable[[tuple[Any, ...], Mapping[str, Any]], Run | None]


def _wrapped(function: Callable[..., Any], open_run: Open) -> Callable[..., Any]:
    """One wrapper for each kind of function: a wrapper of another kind would change what a call gives."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            run = open_run(args, kwargs)
            if run is None:
                return await function(*args, **kwargs)
            with run:
                return await function(*args, **kwargs)

        return wait
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Any:
            run = open_run(args, kwargs)
            values = function(*args, **kwargs)
            return (yield from values if run is None else _stepwise(run, values))

        return generate

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        run = open_run(args, kwargs)
        if run is None:
            return function(*args, **kwargs)
        with run:
            return function(*args, **kwargs)

    return call


def _stepwise(run: Run, values: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The same generator; the run is current only while it works, not in between, where its caller does.

    A caller that wants no more values has got what it wanted: that completes the run.
    """
    run.begin()
    step: Callable[[], Any] = functools.partial(next, values)
    try:
        while True:
            token = context.push(run)
            try:
                value = step()
            except StopIteration as stop:
                run.end()
                return stop.value
            finally:
                context.pop(token)
            try:
                sent = yield value
            except GeneratorExit:
                values.close()
                run.end()
                raise
            except BaseException as thrown:  # for the generator: `throw` goes where it would have gone
                step = functools.partial(values.throw, thrown)
            else:
                step = functools.partial(values.send, sent)
    except BaseException as error:
        run.end(error)
        raise


def _run_of(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    name: str | None,
    job_type: str | None,
) -> Run | None:
    """The run of a call, not yet started; None if it cannot be made, and then the call goes unrecorded."""
    with guarded("tracking a call"):
        run = Run(name or _dotted(function), job_type=job_type)
        bound = inspect.signature(function).bind(*args, **kwargs)
        explicit = _plain(bound.arguments)
        bound.apply_defaults()
        defaults = _plain(bound.arguments)
        for key in explicit:
            del defaults[key]
        run.facts.params.add(defaults, "default")
        run.facts.params.add(explicit, "explicit")
        return run
    return None


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are settings; data and models are recorded by `input` and `output_model`."""
    kinds = (bool, int, float, str, type(None), enum.Enum, os.PathLike)
    return {key: value for key, value in arguments.items() if isinstance(value, kinds)}


def _dotted(function: Callable[..., Any]) -> str:
    name = function.__qualname__.replace("<locals>.", "")
    return name if function.__module__ == "__main__" else f"{function.__module__}.{name}"

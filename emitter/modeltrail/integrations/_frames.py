"""What reading, writing and passing on a frame is, whichever library it is of."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from modeltrail import api, naming
from modeltrail.guard import warn_once
from modeltrail.integrations import _patch
from modeltrail.integrations._call import After
from modeltrail.integrations._sklearn_facts import rows
from modeltrail.observe import choices, data, layouts, makers, origins, paths, remade
from modeltrail.observe.layouts import Layout
from modeltrail.runs import datasets, learned, moved
from modeltrail_schemas import digests

Function = Callable[..., Any]


def observe_read(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Remembers where a frame was read from, and for the current run that it was."""
    record_read(result, argument(function, args, kwargs))


def observe_made(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What was made of frames came from where these came from."""
    origins.carry(result, *args, *kwargs.values())


def observe_own(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """As `observe_made`, of a method that makes something of its object alone."""
    del kwargs
    origins.hand_on(result, args[0])


def observe_joined(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """As `observe_made` where rows or columns of several are put together."""
    several: list[Any] = []
    for given in (*args, *kwargs.values()):
        several += given if isinstance(given, (list, tuple)) else (given,)
    origins.join(result, [part for part in several if _is_data(type(part))])


def _is_data(kind: type) -> bool:
    """Whether objects of a class have rows; pandas takes a while to say how many."""
    return kind not in origins.NO_DATA and (hasattr(kind, "shape") or hasattr(kind, "collect"))


def observe_sampled(function: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Rows that were drawn of a frame: how, which share, and by which seed."""
    given = named(function, args, kwargs)
    observe_own(function, result, args, kwargs)
    if given.get("axis") in {1, "columns"}:
        return
    is_again = given.get("replace") or given.get("with_replacement")
    strategy = "bootstrap" if is_again else "random" if given.get("weights") is None else "weighted"
    choose(result, args[0], strategy, given.get("random_state", given.get("seed")))


def choose(part: Any, whole: Any, strategy: str, seed: Any) -> None:
    """The rows of a part were chosen so among those of the whole."""
    found: dict[str, Any] = {"strategy": strategy}
    share = (rows(part) or 0) / (rows(whole) or 1)
    # Of rows that are drawn again there may be more; all of them, each once, are only in another order.
    if share < 1 or (share == 1 and strategy == "bootstrap"):
        found["fraction"] = round(share, 6)
    if hasattr(seed, "__index__"):
        found["seed"] = int(seed)
    origin = origins.of(whole) or origins.Origin()
    origins.choose(part, choices.after(origin.split, found))


def observe_built(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What a constructor made came from where its data came from."""
    data = args[1] if len(args) > 1 else kwargs.get("data")
    if data is not None:
        origins.carry(args[0], data)


def record_read(result: Any, given: Any, layout: Layout | None = None, version: str | None = None) -> None:
    """What was read from a path, URI, open file or several of them; how these are laid out, if it says so.

    `version`: of a table that keeps several.
    """
    found = paths.places(given)
    sources, run = origins.read(result, found, layout=layout, version=version), api.current_run()
    for source in sources:
        if source.state is not None and (
            run is None or naming.identity(source.place) not in run.facts.outputs
        ):
            digests.note(Path(source.place))
    if sources and run is not None:
        run.facts.reads.add(sources)


def expect_written(given: Any, *, is_added: bool = False) -> None:
    """What was read from where a file is about to be written is looked at, while it is still there.

    What the current run wrote there itself is none of its sources, and changes as often as it likes.
    `is_added`: what is written will come behind what is there, which so is a part of it.
    """
    run = api.current_run()
    for place in paths.places(given):
        identity = naming.identity(place)
        is_own = run is not None and identity in run.facts.outputs
        source = origins.last_read.get(place)
        if source is not None and not is_own:
            data.keep(source)
        if run is not None:
            if is_added and not is_own:  # nobody reads it, and what becomes of it is known
                dataset, view = datasets.look(place)
                run.facts.add_source(datasets.Input.of(dataset, view, "other", {"followed": True}))
            is_input = identity in run.facts.inputs or run.facts.reads.has(identity)
            run.facts.writes.expect(identity, is_behind=is_added, is_own=is_own, is_input=is_input)


def record_written(frame: Any, given: Any, layout: Layout | None = None, *, is_added: bool = False) -> None:
    """A file that was written is an output of the current run, made of what its frame came from.

    `is_added` says that it may have been written at the end of what was there.
    """
    run = api.current_run()
    if run is not None and hasattr(given, "flush"):  # what lies in the buffer is part of the file
        given.flush()
    if layout is not None:
        for place in filter(os.path.isfile, paths.places(given)):
            (layouts.add if is_added else layouts.remember)(place, layout)
    if run is None:
        return
    if len(run.facts.outputs) >= paths.MAX_SOURCES:
        message = "a run writes more than %d files; the first are told"
        warn_once("many files written", message, paths.MAX_SOURCES)
        return
    origin = origins.of(frame)
    models = [datasets.Input(each, "other", capture="observed") for each in learned.elsewhere(origin)]
    for place in paths.places(given):
        identity, sources = naming.identity(place), list(datasets.sources(frame, "other", {}))
        moved.before_again(run.facts, identity)
        taught = learned.behind(run.facts, origin)
        known = [*sources, *models, *taught] if sources and taught is not None else None
        run.facts.writes.add_unseen(identity, makers.lost(origin.fits) if origin and known else 0)
        if not run.facts.add_write(known, identity, _choice(frame)):
            run.facts.reads.write_of_all(identity, list(run.facts.inputs), list(run.facts.outputs))
        if identity in run.facts.outputs:  # a loop that appends: one look is enough, at the end
            if (path := naming.local_path(place)) is not None:
                digests.note(path)
            run.facts.add_written_again(place)
        else:
            run.output(place)
        remade.remember(place, frame, is_added=is_added)


def _choice(frame: Any) -> dict[str, Any]:
    """How the rows of what is written were chosen, as a step that made it: a file has no split of its own."""
    origin = origins.of(frame)
    if origin is None or not origin.split:
        return {}
    return {"op": "split", "params": origin.split, "rowsOut": rows(frame), "capture": "observed"}


def argument(function: Function, args: Sequence[Any], kwargs: Mapping[str, Any], position: int = 0) -> Any:
    """The argument at a position, however it was given."""
    if len(args) > position:
        return args[position]
    return kwargs.get(_parameters(function)[position])


def named(function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by their names."""
    return {**dict(zip(_parameters(function), args, strict=False)), **kwargs}


@cache
def _parameters(function: Function) -> list[str]:
    return list(inspect.signature(function).parameters)


def follow_methods(integration: str, kind: type, after: After, *, also: frozenset[str] = frozenset()) -> None:
    """Follow the public methods that a class itself has, and those named."""
    for name, value in list(vars(kind).items()):
        if inspect.isfunction(value) and (not name.startswith("_") or name in also):
            _patch.follow_simply(integration, kind, name, after)


def functions(module: Any, *names: str) -> list[Any]:
    """Those functions of a module that it has; an older library lacks some."""
    return [vars(module)[name] for name in names if callable(vars(module).get(name))]

"""What `torch.onnx.export` makes of a module: a file, or a program that is saved later."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modeltrail import api
from modeltrail.integrations import _graphs, _patch
from modeltrail.integrations import _modules as modules
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._frames import Function
from modeltrail.integrations._modulefiles import of
from modeltrail.observe.model import MAX_FEATURES
from modeltrail.observe.weakly import Weakly, weak
from modeltrail.runs import learned

_made: "Weakly[Any]" = Weakly()
"""Program -> a weak reference to the module that it was made of."""


def observe(integration: str) -> None:
    """Observe exports, and what becomes of their programs."""
    library: Any = sys.modules["torch"].onnx
    _patch.wrap_function(integration, library.export, observe_export)
    _patch.wrap(integration, library.ONNXProgram, "save", observe_save)
    _patch.follow(integration, library.ONNXProgram, "model_proto", observe_proto)


def observe_export(call: Call) -> Finish:
    """An exported module is a model of another format, if it goes to a file."""
    given = call.arguments()
    module = _traced(given.get("model"))
    record = _recorder(given.get("f"))

    def finish(program: Any, error: BaseException | None) -> None:
        if error is None:
            if program is not None:  # the old exporter makes none
                _made.remember(program, weak(module))
            record(module, program)

    return finish


def observe_save(call: Call) -> Finish:
    """A program that is saved is the module that it was made of."""
    given = call.arguments()
    record = _recorder(given.get("destination"))

    def finish(_: Any, error: BaseException | None) -> None:
        if error is None:
            record(_module(given["self"]), given["self"])

    return finish


def observe_proto(_: Function, result: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """What a program gives to be saved by onnx is known by its graph."""
    del kwargs
    if (module := _module(args[0])) is not None:
        _graphs.remember(result, module)


def _traced(given: Any) -> Any:
    """The module that is exported; what was traced of one has its state, and is none itself."""
    torch: Any = sys.modules["torch"]
    if isinstance(given, torch.nn.Module) and not isinstance(given, torch.jit.ScriptModule):
        return modules.inner(given)
    state = getattr(given, "state_dict", None)
    found = of(state() if callable(state) else state)
    return None if found is None or not found[2] else found[1]


def _module(program: Any) -> Any:
    return (_made.of(program) or (lambda: None))()


def _recorder(target: Any) -> Callable[[Any, Any], None]:
    """What records a module and its program, once they went to a file; weights that lie beside it too."""
    if not isinstance(target, str | os.PathLike) or modules.follows():
        return lambda _, __: None
    weights = Path(f"{os.fspath(target)}.data")
    before = _stamp(weights)

    def record(module: Any, program: Any) -> None:
        graph = getattr(getattr(program, "model", None), "graph", None)
        inputs, outputs = (_values(getattr(graph, each, ())) for each in ("inputs", "outputs"))
        _graphs.record(module, target, inputs, outputs)
        run = api.current_run()
        if run is not None and _stamp(weights) != before:  # the digest is of the graph
            earlier = list(run.facts.outputs)
            made = run.output(weights).identity
            if (fit := run.facts.fits.of(module)) is not None:
                run.facts.add_write(learned.data_of(run.facts, fit), made)
            else:
                run.facts.reads.write_of_all(made, list(run.facts.inputs), earlier)

    return record


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _values(several: Iterable[Any]) -> _graphs.Values:
    return tuple(_value(each) for each, _ in zip(several, range(MAX_FEATURES), strict=False))


def _value(value: Any) -> dict[str, Any]:
    """In the words of onnxruntime: a size that may vary is -1."""
    found: dict[str, Any] = {"name": value.name}
    if value.dtype is not None:
        found["type"] = f"tensor({value.dtype.name.lower()})"
    if value.shape is not None:
        found["shape"] = [each if isinstance(each, int) else -1 for each in value.shape]
    return found

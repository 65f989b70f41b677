"""onnx: which model went to a file, and of which fitted one it was made, where a converter was observed."""

import os
import sys
from collections.abc import Iterable
from typing import Any, Final

from modeltrail.integrations import _graphs, _patch
from modeltrail.integrations._call import Call, Finish
from modeltrail.observe import model

NAME: Final = "onnx"


def activate() -> None:
    """Observe saves."""
    _patch.wrap_function(NAME, sys.modules["onnx"].save_model, observe_save)


def deactivate() -> None:
    """Put everything back."""
    _patch.undo(NAME)


def observe_save(call: Call) -> Finish | None:
    """A saved model is an output: that which it was made of, in another format."""
    given = call.arguments()
    proto: Any = given.get("proto")
    target: Any = given.get("f")
    path = target if isinstance(target, str | os.PathLike) else getattr(target, "name", None)
    if not hasattr(proto, "graph") or not isinstance(path, str | os.PathLike):
        return None
    fitted = _graphs.made_of(proto)
    inputs, outputs = _signature(proto)

    def finish(_: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        if hasattr(target, "flush"):  # what lies in the buffer is part of the file
            target.flush()
        _graphs.record(fitted, path, inputs, outputs)

    return finish


def _signature(proto: Any) -> tuple[_graphs.Values, _graphs.Values]:
    """What goes in and what comes out; older models name their weights among what goes in."""
    weights = {each.name for each in proto.graph.initializer}
    given = (each for each in proto.graph.input if each.name not in weights)
    return _values(given), _values(proto.graph.output)


def _values(several: Iterable[Any]) -> _graphs.Values:
    return tuple(_value(each) for each, _ in zip(several, range(model.MAX_FEATURES), strict=False))


def _value(value: Any) -> dict[str, Any]:
    """In the words of onnxruntime: `tensor(float)`, `sequence`; a size that may vary is -1."""
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        kind = value.type.WhichOneof("value") or "unknown"
        return {"name": value.name, "type": kind.removesuffix("_type")}
    name = sys.modules["onnx"].TensorProto.DataType.Name(tensor.elem_type).lower()
    found: dict[str, Any] = {"name": value.name, "type": f"tensor({name})"}
    if tensor.HasField("shape"):
        found["shape"] = [each.dim_value if each.HasField("dim_value") else -1 for each in tensor.shape.dim]
    return found

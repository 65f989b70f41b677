"""Of which fitted model a graph of ONNX was made, whoever converted it.

A graph is known again by its digest, since protocol buffers have no weak references; what is written beside
it, a description say, makes no other model of it.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final

from modeltrail.integrations._weakly import weak
from modeltrail.observe import model

_MAX_KNOWN: Final = 100

_made: dict[str, Callable[[], Any]] = {}
"""Digest of a graph -> what it was made of, while that lives."""


def remember(proto: Any, fitted: object) -> None:
    """Keep what a graph was made of."""
    if (key := _digest(proto)) is not None:
        if len(_made) >= _MAX_KNOWN:
            _made.clear()
        _made[key] = weak(fitted)


def made_of(proto: Any) -> Any | None:
    """What a graph was made of; None where that is not known, or gone."""
    known = _made.get(_digest(proto) or "")
    return None if known is None else known()


def _digest(proto: Any) -> str | None:
    """None of what is no model, or one too large to look at."""
    if not hasattr(proto, "graph") or proto.ByteSize() > model.PICKLED_BYTES:
        return None
    return hashlib.sha256(proto.graph.SerializeToString(deterministic=True)).hexdigest()

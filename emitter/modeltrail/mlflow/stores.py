"""What MLflow loads where a URI begins with `modeltrail+`: the store of the rest of the URI, watched.

The store is the one that MLflow itself would have made, of a class derived from its own: whatever MLflow
asks of it, or checks, or calls inside of it, is as it was. Only methods that a teller names are seen, each
when it has succeeded, and not again inside of one that is seen already.

MLflow forgives an import only ImportError and AttributeError: nothing else happens here before it asks for a
store.
"""

import copy
import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from modeltrail.guard import guarded

Finish = Callable[[Any], None]
"""Called with the result of the original."""
_SERVER: Final = "mlflow.server.handlers"
_inside = threading.local()


class Teller(Protocol):
    """Has a method for each method of a store that it wants to see.

    Called with the arguments by name before the original; what it returns is called after it.
    """

    METHODS: ClassVar[tuple[str, ...]]


class _Registries(NamedTuple):
    tracking: Any
    models: Any


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> Any:
    """MLflow's entry point `mlflow.tracking_store`."""
    from modeltrail.mlflow.names import plain

    uri = plain(store_uri)
    known = _registries().tracking
    store = known.get_store_builder(uri)(store_uri=uri, artifact_uri=artifact_uri)
    with guarded("watching the tracking store of MLflow"):
        from modeltrail.mlflow.tracking import Tracking

        _watch(store, Tracking(store, uri, in_server=_in_server()))
        # made by the store's constructor, it knows the method of the class that the store was then
        queue = type(store._async_logging_queue)(logging_func=store.log_batch)  # noqa: SLF001
        store._async_logging_queue = queue  # noqa: SLF001
    return store


def registry_store(store_uri: str, tracking_uri: str | None = None) -> Any:
    """MLflow's entry point `mlflow.model_registry_store`."""
    from modeltrail.mlflow.names import plain

    uri = plain(store_uri)
    builder = _registries().models.get_store_builder(uri)
    known = inspect.signature(builder).parameters
    takes_tracking = "tracking_uri" in known or any(each.kind is each.VAR_KEYWORD for each in known.values())
    given = {"tracking_uri": plain(tracking_uri)} if takes_tracking and tracking_uri else {}
    store = builder(store_uri=uri, **given)
    with guarded("watching the model registry of MLflow"):
        from modeltrail.mlflow.registry import Registry

        _watch(store, Registry(store, uri, tracking_uri, in_server=_in_server()))
    return store


def _in_server() -> bool:
    """Whether this is a process of `mlflow server`: what happens here is not what the run does."""
    return _SERVER in sys.modules and "_MLFLOW_SERVER_FILE_STORE" in os.environ


def _registries() -> _Registries:
    """Where MLflow looks for stores by their scheme; in its server that is elsewhere than in a program."""
    if _in_server():
        handlers = sys.modules[_SERVER]
        names = ("_tracking_store_registry", "_model_registry_store_registry")
        return _Registries(*(getattr(handlers, name) for name in names))
    from mlflow.tracking._model_registry.utils import _get_store_registry
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    return _Registries(_tracking_store_registry, _get_store_registry())


def _watch(store: Any, teller: Teller) -> None:
    """Let a store be of a class that the teller sees."""
    kind: Any = type(store)
    seen = {name: _seen(name, getattr(kind, name)) for name in teller.METHODS if hasattr(kind, name)}
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    store.__class__ = type(
        kind.__name__, (kind,), {**names, **seen, "_modeltrail": teller, "__reduce_ex__": _pickled}
    )


def _pickled(self: Any, _: Any) -> Any:
    """As the store that it is: where it is unpickled nobody watches."""
    kind: Any = type(self).__base__
    plain = kind.__new__(kind)
    vars(plain).update(vars(self))
    return copy.copy, (plain,)


def _arguments(signature: inspect.Signature, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
    """The arguments by name, defaults too; None when they do not fit: the original is about to say so."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    _, *given = bound.arguments.items()
    return dict(given)


def _seen(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(_inside, "on", False):
            return original(self, *args, **kwargs)
        _inside.on = True
        try:
            finish: Finish | None = None
            with guarded(f"seeing {name} of MLflow"):
                if (given := _arguments(signature, self, *args, **kwargs)) is not None:
                    finish = getattr(self._modeltrail, name)(**given)
            result = original(self, *args, **kwargs)
            if finish is not None:
                with guarded(f"telling {name} of MLflow"):
                    finish(result)
            return result
        finally:
            _inside.on = False

    return method

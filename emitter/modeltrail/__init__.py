"""Know where every model came from, and prove it."""

from importlib import import_module

_LAZY = {
    "KafkaTransport": "modeltrail.transports.openlineage",
    "LocalTransport": "modeltrail.transports.openlineage",
}


def __getattr__(name: str) -> object:
    """Load on use what costs time to import: the OpenLineage client alone takes half a second."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Being told when the host imports a module."""

import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

from modeltrail.guard import guarded
from modeltrail.integrations import _patch

Hook = Callable[[ModuleType], None]
_lock = threading.RLock()
_hooks: dict[str, list[Hook]] = {}


def when_imported(module: str, hook: Hook) -> None:
    """Call `hook` with the module: now if it is there, else right after it is imported."""
    with _lock:
        loaded = sys.modules.get(module)
        if loaded is None:
            _hooks.setdefault(module, []).append(hook)
            if _finder not in sys.meta_path:
                sys.meta_path.insert(0, _finder)
            return
    hook(loaded)


def forget_imports() -> None:
    """Call no hook any more."""
    with _lock:
        _hooks.clear()
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)


class _Finder(MetaPathFinder):
    """Has the other finders find a module that somebody waits for, and adds the hooks to its loader."""

    def __init__(self) -> None:
        self._searching = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, its loader wrapped; None for all other modules."""
        del path, target
        if fullname not in _hooks or getattr(self._searching, "name", None) == fullname:
            return None
        self._searching.name = fullname
        try:
            spec = find_spec(fullname)
        finally:
            self._searching.name = None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """The loader it stands for, with the hooks after it; the module keeps the original as its own."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the original."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the original, then the hooks."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        with _lock:
            hooks = _hooks.pop(module.__name__, [])
        with _patch.together():
            for hook in hooks:
                with guarded(f"activating an integration for {module.__name__}"):
                    hook(module)


_finder: Final = _Finder()

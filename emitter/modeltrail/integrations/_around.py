"""What a program does around a fit, whichever library fits: it seeds generators, splits data, dumps models.

The integrations that want it observe it together: what one of them remembers the others know.
"""

import os
import sys
from pathlib import Path
from typing import Any, Final

from modeltrail import api
from modeltrail.integrations import _calls, _imports, _patch
from modeltrail.integrations import _sklearn_facts as facts
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._frames import argument, choose
from modeltrail.integrations._saving import record_holder, record_saved
from modeltrail.observe import boosters, holding, loads, origins
from modeltrail.runs.learned import known_alone

_SEED_BITS: Final = 64
_LIBRARIES: Final = ("joblib.", "mlflow.")
"""What these dump is in a cache, or told when it is logged."""

_seeds: dict[str, int] = {}
"""Of the generators that a process shares; an estimator without a `random_state` draws from numpy's."""


def observe(integration: str) -> None:
    """Observe `train_test_split`, dumps and the seeding of generators, once they are imported."""
    _imports.when_imported(
        "sklearn.model_selection",
        lambda module: _patch.wrap_function(integration, module.train_test_split, observe_split),
    )
    for name in ("joblib", "pickle", "cloudpickle"):
        _imports.when_imported(
            name, lambda module: _patch.wrap_function(integration, module.dump, observe_dump)
        )
    _imports.when_imported(
        "random", lambda module: _patch.wrap_function(integration, module.seed, observe_random_seed)
    )
    _imports.when_imported(
        "numpy.random", lambda module: _patch.wrap_function(integration, module.seed, observe_numpy_seed)
    )


def seeds() -> dict[str, int]:
    """The seeds of the shared generators: `python`, `numpy`."""
    return dict(_seeds)


def observe_random_seed(call: Call) -> None:
    """Remembers the seed of `random`."""
    _remember_seed("python", call)


def observe_numpy_seed(call: Call) -> None:
    """Remembers the seed of numpy's global generator."""
    _remember_seed("numpy", call)


def _remember_seed(source: str, call: Call) -> None:
    """The last one counts; what is no whole number, or none of 64 bits, cannot be told."""
    given: Any = next(iter((*call.args, *call.kwargs.values())), None)
    _seeds.pop(source, None)
    if hasattr(given, "__index__") and int(given).bit_length() < _SEED_BITS:
        _seeds[source] = int(given)


def observe_split(call: Call) -> Finish:
    """Remembers of each part of a split how it came about, for the fit that it goes into."""

    def finish(parts: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        options = {key: value for key, value in call.kwargs.items() if value is not None}
        shuffled = options.get("shuffle", True)
        how = "stratified" if "stratify" in options else "random" if shuffled else "sequential"
        for whole, *pair in zip(call.args, parts[::2], parts[1::2], strict=True):
            origins.recognize(whole)
            for part in pair:
                origins.carry(part, whole)
                choose(part, whole, how, options.get("random_state"))

    return finish


def observe_dump(call: Call) -> Finish | None:
    """A saved model is an output, with what is known of it from memory; a saved transformer is data.

    What holds fitted models is one too.
    """
    dumped = argument(call.function, call.args, call.kwargs)
    target: Any = argument(call.function, call.args, call.kwargs, 1)
    path = target if isinstance(target, str | os.PathLike) else getattr(target, "name", None)
    if not isinstance(path, str | os.PathLike) or _calls.caller().startswith(_LIBRARIES):
        return None
    is_one = is_fitted_thing(dumped)
    if is_one and facts.is_blank(dumped):
        return None
    held = [] if is_one else [each for each in holding.within(dumped, _is_known) if _is_known(each)]
    if (modules := module_files()) is not None and modules.holds_module(dumped, held):
        return lambda _, error: modules.record_file(dumped, target) if error is None else None
    if not is_one and not held:
        return None

    def finish(_: Any, error: BaseException | None) -> None:
        if error is None:
            if hasattr(target, "flush"):  # what lies in the buffer is part of the file
                target.flush()
            if held:
                record_holder(dumped, held, Path(path))
                return
            record_saved(dumped, Path(path), is_model=boosters.is_native(dumped) or facts.is_model(dumped))

    return finish


def module_files() -> Any:
    """What knows of the files of PyTorch's modules; None where these are not observed."""
    return sys.modules.get("modeltrail.integrations._modulefiles")


def _is_known(thing: object) -> bool:
    """Whether something is a model that was seen to be fitted, or to be loaded."""
    run = api.current_run()
    fit = None if run is None else run.facts.fits.of(thing)
    return (
        (fit is not None and not fit.is_step)
        or known_alone(thing) is not None
        or loads.file(thing) is not None
    )


def is_fitted_thing(given: object) -> bool:
    """Whether something is an estimator or a booster."""
    estimator = getattr(sys.modules.get("sklearn.base"), "BaseEstimator", None)
    return (estimator is not None and isinstance(given, estimator)) or boosters.is_native(given)

"""PEFT: adapters that are loaded, saved, and merged into the model that they adapt."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modeltrail import api
from modeltrail.integrations import _imports, _patch, _trainers
from modeltrail.integrations._call import Call, Finish
from modeltrail.integrations._frames import Function
from modeltrail.observe.weakly import Weakly, weak

_wholes: "Weakly[Any]" = Weakly()
"""What merges adapters -> a weak reference to the model that it is a part of."""


def observe(integration: str, save: Any) -> None:
    """Observe adapters once PEFT is imported; `save` records what `save_pretrained` wrote."""

    def observe_models(module: Any) -> None:
        _patch.follow(integration, module.PeftModel, "__init__", observe_made)
        _patch.wrap(integration, module.PeftModel, "from_pretrained", observe_load)
        _patch.wrap(integration, module.PeftModel, "save_pretrained", save)

    _imports.when_imported("peft.peft_model", observe_models)
    _imports.when_imported(
        "peft.tuners.tuners_utils",
        lambda module: _patch.wrap(integration, module.BaseTuner, "merge_and_unload", observe_merge),
    )


def observe_made(_: Function, __: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Remembers of which model something is the part that merges."""
    del kwargs
    _wholes.remember(args[0].base_model, weak(args[0]))


def observe_load(call: Call) -> Finish:
    """A loaded adapter is an input: a folder, or one of the hub."""
    given = call.arguments()
    name, within = given.get("model_id"), given.get("kwargs", {}).get("subfolder")

    def finish(loaded: Any, error: BaseException | None) -> None:
        if error is None and isinstance(name, str | os.PathLike):
            place = Path(name, within or "")
            where = str(place.absolute()) if place.exists() else _trainers.on_hub(name)
            _trainers.record_loaded(loaded, where)
            if hasattr(loaded.base_model, "merge_and_unload"):  # which may be all that is left by then
                _trainers.lies_in(loaded.base_model, where)

    return finish


def observe_merge(call: Call) -> Finish:
    """A merged model came of the one that was adapted, and of the adapter: of its training, or its file.

    The weights are changed in place, so that the model is no longer what it was loaded from.
    """
    merging = call.args[0]
    whole, bases = (_wholes.of(merging) or (lambda: None))(), _trainers.bases(merging)

    def finish(merged: Any, error: BaseException | None) -> None:
        if error is not None:
            return
        _trainers.lies_nowhere(merged)
        if (run := api.current_run()) is None:
            return
        if (fit := run.facts.fits.of(whole)) is None:
            fit = run.facts.fits.begin(type(merged).__name__, merged)
            for each in bases:
                _trainers.record_base(run, each, fit)
        else:
            run.facts.fits.bind(fit, merged)

    return finish

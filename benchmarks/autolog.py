"""`python -m benchmarks.autolog`: what `modeltrail.autolog()` adds to a training.

Real trainings of scikit-learn, xgboost, lightgbm and, where it is installed, PyTorch, from the frame to the
saved model, each in a process of its own, without and with autolog in turns. What a process pays once is told
apart: to import modeltrail, to switch autolog on, and to open the first run, which looks at the code and at
all installed packages. `whole` is that and what the training takes more; the target holds it to 1 % of the
training, or to 50 ms where that is more. Wall time includes what else the machine does; CPU time, git's
with it, does not.
"""

import argparse
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DIGITS = {
    "without s": 2,
    "with s": 2,
    "more ms": 0,
    "CPU ms": 0,
    "once ms": 0,
    "once CPU": 0,
    "whole ms": 0,
    "whole CPU": 0,
    "whole %": 2,
}
"""Column -> its places behind the point."""
ALLOWED_SHARE, ALLOWED_MS = 0.01, 50


def main() -> None:
    """Print a line for each library: medians over the pairs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.autolog")
    parser.add_argument("--rows", type=int, default=200_000, help="rows to train on, of 20 columns")
    parser.add_argument("--rounds", type=int, default=200, help="trees, or rounds of boosting")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--only", choices=TRAININGS, help="one library")
    parser.add_argument("--one", nargs=2, metavar=("LIBRARY", "HOW"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        library, how = asked.one
        print(*_train(TRAININGS[library], asked.rows, asked.rounds, how == "with"))
        return
    print(
        f"{f'{asked.rows} rows, {asked.rounds} rounds, {asked.pairs} pairs':40}",
        *(f"{column:>10}" for column in DIGITS),
    )
    for library in [asked.only] if asked.only else TRAININGS:
        if library == "torch" and find_spec(library) is None:
            print(f"{library:40} is not installed: left out")
            continue
        pairs = [
            _pair(library, asked, first=("without", "with")[number % 2]) for number in range(asked.pairs)
        ]
        figures = _figures(pairs)
        is_within = figures["whole ms"] <= max(1e3 * ALLOWED_SHARE * figures["without s"], ALLOWED_MS)
        told = (f"{figures[column]:10.{places}f}" for column, places in DIGITS.items())
        print(f"{library:40}", *told, "" if is_within else "  over 1 % and 50 ms", flush=True)


def _figures(pairs: list[dict[str, list[float]]]) -> dict[str, float]:
    """Column -> its median over the pairs; a difference is that of a pair."""
    each = []
    for pair in pairs:
        without, worked, *_ = pair["without"]
        logged, logged_worked, once, once_worked = pair["with"]
        more, more_worked = logged - without, logged_worked - worked
        whole, whole_worked = more + once, more_worked + once_worked
        differences = (more, more_worked, once, once_worked, whole, whole_worked)
        each.append((without, logged, *(1e3 * found for found in differences), 100 * whole / without))
    return dict(zip(DIGITS, map(statistics.median, zip(*each, strict=True)), strict=True))


def _pair(library: str, asked: argparse.Namespace, first: str) -> dict[str, list[float]]:
    """How -> seconds to train, of the processor to train, and both of what is paid once."""
    # An installed package has its bytecode.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found = {}
    for how in (first, *({"with", "without"} - {first})):
        command = [sys.executable, "-m", "benchmarks.autolog", "--one", library, how]
        sizes = ["--rows", str(asked.rows), "--rounds", str(asked.rounds)]
        told = subprocess.run(
            [*command, *sizes], capture_output=True, text=True, check=True, env=environment
        ).stdout
        found[how] = [float(each) for each in told.split()]
    return found


def _train(
    work: Callable[[Any, Any, int], Any], rows: int, rounds: int, is_logged: bool
) -> tuple[float, ...]:
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(7)
    frame = pd.DataFrame(random.normal(size=(rows, 20)), columns=[f"feature_{n}" for n in range(20)])
    labels = pd.Series((frame["feature_0"] + random.normal(size=rows) > 0).astype(int), name="bought")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        work(frame[:1000], labels[:1000], 1)  # what the libraries load on first use is not ours
        began = opened = _now()
        if is_logged:
            import modeltrail

            modeltrail.autolog()
            with modeltrail.run("train"):
                opened = _now()
                work(frame, labels, rounds)
        else:
            work(frame, labels, rounds)
        ended = _now()
    return (*_between(opened, ended), *_between(began, opened))


def _now() -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in used)


def _between(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    return end[0] - start[0], end[1] - start[1]


def _sklearn(frame: Any, labels: Any, rounds: int) -> None:
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(max(1, rounds // 10), max_depth=10, random_state=1).fit(frame, labels)
    with Path("model.pkl").open("wb") as file:
        pickle.dump(model, file)


def _xgboost(frame: Any, labels: Any, rounds: int) -> None:
    import xgboost

    kept = len(frame) * 4 // 5
    train = xgboost.DMatrix(frame[:kept], label=labels[:kept])
    judged = xgboost.DMatrix(frame[kept:], label=labels[kept:])
    params = {"objective": "binary:logistic", "nthread": 1}
    evals = [(train, "train"), (judged, "validation")]
    xgboost.train(params, train, rounds, evals=evals, verbose_eval=False).save_model("model.ubj")


def _lightgbm(frame: Any, labels: Any, rounds: int) -> None:
    import lightgbm

    kept = len(frame) * 4 // 5
    train = lightgbm.Dataset(frame[:kept], label=labels[:kept])
    judged = train.create_valid(frame[kept:], label=labels[kept:])
    params = {"objective": "binary", "num_threads": 1, "verbose": -1}
    lightgbm.train(params, train, rounds, valid_sets=[train, judged]).save_model("model.txt")


def _torch(frame: Any, labels: Any, rounds: int) -> None:
    import torch
    from torch.utils.data import DataLoader, TensorDataset, random_split

    torch.set_num_threads(1)
    torch.manual_seed(1)
    features = torch.tensor(frame.to_numpy(), dtype=torch.float32)
    data = TensorDataset(features, torch.tensor(labels.to_numpy()).float().unsqueeze(1))
    train, judged = random_split(data, [0.8, 0.2])
    model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    optimizer = torch.optim.Adam(model.parameters())
    lost = torch.nn.BCEWithLogitsLoss()
    for _ in range(max(1, rounds // 50)):
        for batch, truth in DataLoader(train, batch_size=128, shuffle=True):
            optimizer.zero_grad()
            lost(model(batch), truth).backward()
            optimizer.step()
        with torch.no_grad():
            for batch, truth in DataLoader(judged, batch_size=1024):
                lost(model(batch), truth)
    torch.save(model.state_dict(), "model.pt")


TRAININGS = {"scikit-learn": _sklearn, "xgboost": _xgboost, "lightgbm": _lightgbm, "torch": _torch}


if __name__ == "__main__":
    main()

"""What following data costs: operations of pandas and polars with autolog and without.

    .venv/bin/python -m benchmarks.frames

Each in processes of its own that take turns; the best of all turns counts. One process cannot measure both:
code that Python has adapted to the one stays slower for the other. An operation of half a millisecond still
differs by some 2 % from one process to the next. All frames come from a file, so each hands on where from.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

import modeltrail

TURNS = 6
ROUNDS = 25
SECONDS = 0.005
WARM = 150  # Python adapts its code to what it meets there, some only after 50 calls

PANDAS: dict[str, Callable[[pd.DataFrame, pd.DataFrame], object]] = {
    'd["a"]': lambda d, _: d["a"],
    'd[["id", "a"]]': lambda d, _: d[["id", "a"]],
    'd[d["a"] > 0]': lambda d, _: d[d["a"] > 0],
    'd["a"] + 1': lambda d, _: d["a"] + 1,
    "d.copy()": lambda d, _: d.copy(),
    "d.dropna()": lambda d, _: d.dropna(),
    "d.assign(z=1)": lambda d, _: d.assign(z=1),
    'd.query("a > 0")': lambda d, _: d.query("a > 0"),
    'd.loc[d["a"] > 0, ["id", "a"]]': lambda d, _: d.loc[d["a"] > 0, ["id", "a"]],
    'd.sort_values("a")': lambda d, _: d.sort_values("a"),
    "d.describe()": lambda d, _: d.describe(),
    "d.astype(str)": lambda d, _: d.astype(str),
    "d.to_numpy()": lambda d, _: d.to_numpy(),
    'd.groupby("k").mean()': lambda d, _: d.groupby("k").mean(),
    'd.groupby("k").agg({...})': lambda d, _: d.groupby("k").agg({"a": "mean", "id": "max"}),
    'd.pivot_table(values="a", index="k")': lambda d, _: d.pivot_table(values="a", index="k"),
    'pd.get_dummies(d, columns=["k"])': lambda d, _: pd.get_dummies(d, columns=["k"]),
    'd.merge(e, on="id")': lambda d, e: d.merge(e, on="id"),
    "pd.concat([d, d])": lambda d, _: pd.concat([d, d]),
    "d.apply(f, axis=1), a row": lambda d, _: d.apply(lambda row: row["a"], axis=1),
}
POLARS: dict[str, Callable[[pl.DataFrame, pl.DataFrame], object]] = {
    'd["a"]': lambda d, _: d["a"],
    'd.select("a")': lambda d, _: d.select("a"),
    "d.filter(...)": lambda d, _: d.filter(pl.col("a") > 0),
    "d.with_columns(...)": lambda d, _: d.with_columns(z=pl.col("a") * 2),
    'd.join(e, on="id")': lambda d, e: d.join(e, on="id"),
    'd.group_by("k").agg(...)': lambda d, _: d.group_by("k").agg(pl.col("a").mean()),
}


def measure(call: Callable[[], object]) -> float:
    """Microseconds of a call."""
    for _ in range(WARM):
        call()
    number = max(1, int(SECONDS / min(timeit.repeat(call, number=1, repeat=3))))
    return min(timeit.repeat(call, timer=time.process_time, number=number, repeat=ROUNDS)) / number * 1e6


def one_side(*, is_followed: bool) -> dict[str, float]:
    """Microseconds of each operation, in a process that does nothing else."""
    rows = 1000
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        places = [str(Path(folder, name)) for name in ("d.csv", "e.csv")]
        left = {"id": range(rows), "a": random.normal(size=rows), "k": random.integers(0, 9, rows)}
        pd.DataFrame(left).to_csv(places[0], index=False)
        pd.DataFrame({"id": range(rows), "b": random.normal(size=rows)}).to_csv(places[1], index=False)
        if is_followed:
            modeltrail.autolog("pandas", "polars", strict=True)
        of_pandas = [pd.read_csv(place) for place in places]
        of_polars = [pl.read_csv(place) for place in places]
    found = {}
    for library, cases, frames in (("pandas", PANDAS, of_pandas), ("polars", POLARS, of_polars)):
        for name, case in cases.items():
            each = rows if name.endswith("a row") else 1
            found[f"{library}  {name}"] = measure(lambda case=case, frames=frames: case(*frames)) / each
    return found


def main() -> None:
    best: dict[str, dict[str, float]] = {"without": {}, "with": {}}
    for turn in range(TURNS):
        for side, fastest in best.items():
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.frames", side]
            environment = os.environ | {"PYTHONHASHSEED": str(turn)}
            told = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
            for name, took in json.loads(told).items():
                fastest[name] = min(took, fastest.get(name, took))
    print(f"{'us':45}{'without':>10}{'with':>10}{'more':>10}")
    for name, without in best["without"].items():
        followed = best["with"][name]
        print(f"{name:45}{without:10.1f}{followed:10.1f}{followed - without:10.1f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one_side(is_followed=sys.argv[1] == "with")))
    else:
        main()

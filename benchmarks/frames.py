"""What following data costs: operations of pandas and polars with autolog and without, in one process.

    .venv/bin/python -m benchmarks.frames

Both take turns, round by round; the best of the rounds counts. All frames come from a file, so each operation
hands on where from.
"""

import tempfile
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

import modeltrail
from modeltrail import integrations

ROUNDS = 60
SECONDS = 0.005
WARM = 20

PANDAS: dict[str, Callable[[pd.DataFrame, pd.DataFrame], object]] = {
    'd["a"]': lambda d, _: d["a"],
    'd[["id", "a"]]': lambda d, _: d[["id", "a"]],
    'd[d["a"] > 0]': lambda d, _: d[d["a"] > 0],
    'd["a"] + 1': lambda d, _: d["a"] + 1,
    "d.copy()": lambda d, _: d.copy(),
    "d.dropna()": lambda d, _: d.dropna(),
    "d.assign(z=1)": lambda d, _: d.assign(z=1),
    "d.astype(str)": lambda d, _: d.astype(str),
    "d.to_numpy()": lambda d, _: d.to_numpy(),
    'd.groupby("k").mean()': lambda d, _: d.groupby("k").mean(),
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
}


def measure(call: Callable[[], object]) -> tuple[float, float]:
    """Microseconds of a call without autolog and with it."""
    number = max(1, int(SECONDS / min(timeit.repeat(call, number=1, repeat=3))))
    best = [float("inf")] * 2
    for _ in range(ROUNDS):
        for side in (0, 1):
            if side:
                modeltrail.autolog("pandas", "polars", strict=True)
            for _ in range(WARM):  # Python adapts its code to the functions that it meets there
                call()
            best[side] = min(
                best[side], timeit.timeit(call, timer=time.process_time, number=number) / number * 1e6
            )
            integrations.deactivate()
    return best[0], best[1]


def main() -> None:
    rows = 1000
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        places = [str(Path(folder, name)) for name in ("d.csv", "e.csv")]
        left = {"id": range(rows), "a": random.normal(size=rows), "k": random.integers(0, 9, rows)}
        pd.DataFrame(left).to_csv(places[0], index=False)
        pd.DataFrame({"id": range(rows), "b": random.normal(size=rows)}).to_csv(places[1], index=False)
        modeltrail.autolog("pandas", "polars")
        of_pandas = [pd.read_csv(place) for place in places]
        of_polars = [pl.read_csv(place) for place in places]
        integrations.deactivate()
    print(f"{'us':30}{'without':>10}{'with':>10}{'more':>10}")
    for library, cases, frames in (("pandas", PANDAS, of_pandas), ("polars", POLARS, of_polars)):
        for name, case in cases.items():
            each = rows if name.endswith("a row") else 1
            without, followed = (
                value / each for value in measure(lambda case=case, frames=frames: case(*frames))
            )
            print(f"{library + '  ' + name:35}{without:8.1f}{followed:10.1f}{followed - without:10.1f}")


if __name__ == "__main__":
    main()

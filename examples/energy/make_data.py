"""The raw files of the example: sites, readings of meters, weather, peaks. `python make_data.py [UNIT]`.

Only the unit of the readings depends on UNIT, `kWh` or `Wh`: the column keeps its name, as feeds do.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

SITES, DAYS, CHECKED = 40, 60, 10
PER_KWH = {"kWh": 1, "Wh": 1000}


def main(unit: str) -> None:
    """Write them to `raw/`, and to `reference.csv` some days that somebody has checked, always in kWh."""
    random = np.random.default_rng(4)
    days = pd.date_range("2026-01-01", periods=DAYS).strftime("%Y-%m-%d")
    sites = pd.DataFrame({
        "site": np.arange(SITES),
        "area": random.lognormal(7, 0.4, SITES).round(),
        "kind": random.choice(["office", "school", "shop"], SITES),
    })  # fmt: skip
    weather = pd.DataFrame({"day": days, "temperature": random.normal(4, 6, DAYS).round(1)})
    table = sites.merge(weather, how="cross")
    heating = (18 - table["temperature"]).clip(lower=0)
    table["energy"] = (table["area"] * (0.1 + 0.01 * heating) * random.lognormal(0, 0.3, len(table))).round(2)
    table["peak"] = (table["energy"] / 9 + random.normal(0, 1, len(table))).round(2)

    checked = table["day"].isin(days[-CHECKED:])
    table[checked].to_csv("reference.csv", index=False)
    readings = table.loc[~checked, ["site", "day", "energy"]]
    readings = readings.assign(energy=(readings["energy"] * PER_KWH[unit]).round(2))
    Path("raw").mkdir(exist_ok=True)
    for name, feed in (
        ("sites", sites),
        ("weather", weather),
        ("readings", readings),
        ("peaks", table.loc[~checked, ["site", "day", "peak"]]),
    ):
        feed.to_csv(f"raw/{name}.csv", index=False)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "kWh")

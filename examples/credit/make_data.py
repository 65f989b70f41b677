"""The raw files of the example: customers, their loans, and their payments. `python make_data.py [SEED]`."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

CUSTOMERS, LOANS, PAYMENTS = 400, 600, 12


def main(seed: int) -> None:
    """Write them to `raw/`."""
    random = np.random.default_rng(seed)
    customers = pd.DataFrame({
        "customer": np.arange(CUSTOMERS),
        "age": random.integers(20, 75, CUSTOMERS),
        "income": random.lognormal(10.3, 0.5, CUSTOMERS).round(),
        "region": random.choice(["north", "south", "west"], CUSTOMERS),
    })  # fmt: skip
    customers.loc[random.random(CUSTOMERS) < 0.05, "income"] = np.nan
    loans = pd.DataFrame({
        "loan": np.arange(LOANS),
        "customer": random.integers(0, CUSTOMERS, LOANS),
        "amount": random.lognormal(9, 0.6, LOANS).round(),
        "purpose": random.choice(["car", "house", "other"], LOANS),
    })  # fmt: skip
    burden = loans["amount"] / customers["income"].fillna(30_000).iloc[loans["customer"]].to_numpy()
    risk = 1 / (1 + np.exp(-(3 * burden - 2 + random.normal(0, 0.7, LOANS))))
    loans["defaulted"] = (random.random(LOANS) < risk).astype(int)
    late = random.random((LOANS, PAYMENTS)) < risk.to_numpy()[:, None] * 0.5
    payments = pd.DataFrame({"loan": np.repeat(loans["loan"], PAYMENTS), "late": late.ravel().astype(int)})
    Path("raw").mkdir(exist_ok=True)
    for name, table in (("customers", customers), ("loans", loans), ("payments", payments)):
        table.to_csv(f"raw/{name}.csv", index=False)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)

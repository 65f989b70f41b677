"""The raw files of the example: handwritten digits, 8 by 8 pixels each. `python make_data.py`."""

from pathlib import Path

import pandas as pd
from sklearn.datasets import load_digits

TRAINED = 1400


def main() -> None:
    """Write them to `raw/`: the first 1,400 to learn from, the others to be judged by."""
    digits = load_digits()
    table = pd.DataFrame(digits.data.astype(int), columns=[f"pixel_{n}" for n in range(64)])
    table["digit"] = digits.target
    Path("raw").mkdir(exist_ok=True)
    table[:TRAINED].to_csv("raw/train.csv", index=False)
    table[TRAINED:].to_csv("raw/test.csv", index=False)


if __name__ == "__main__":
    main()

"""The steps of the demo in one process: scikit-learn takes longer to import than to train."""

import runpy
import sys

STEPS = (
    "prepare.py",
    "train.py --version 1",
    "train.py --version 2 --C 0.02",
    "deploy.py --version 2",
    "prepare.py --max-area 1500",
    "train.py --version 3 --C 0.02 --scaler quantile",
)

for number, step in enumerate(STEPS, 1):
    print(f"  {number}  python {step:<50}", end="", flush=True)
    sys.argv = step.split()
    runpy.run_path(sys.argv[0], run_name="__main__")

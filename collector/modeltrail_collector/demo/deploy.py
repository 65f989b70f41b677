"""Put one registered version behind an endpoint: here the act of writing down which one serves."""

import argparse
import json
from pathlib import Path

import modeltrail

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--version", required=True)
options = parser.parse_args()

with modeltrail.run("deploy-tumours", job_type="DEPLOY") as run:
    Path("serving.json").write_text(json.dumps({"model": "tumours", "version": options.version}))
    run.deploy("tumours", options.version, target="demo://localhost/endpoints/tumour-check")

print(f"tumours@{options.version} serves demo://localhost/endpoints/tumour-check")

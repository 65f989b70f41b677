"""From raw files to a model, by a script that knows nothing of modeltrail: the trail leads there and back."""

import json
import re
import subprocess
import sys
from pathlib import Path

TRAIN = """
import joblib
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

customers = pd.read_csv("customers.csv")
orders = pd.read_csv("orders.csv")
spent = orders.groupby("customer", as_index=False)["amount"].sum()
table = customers.merge(spent, on="customer", how="left").dropna(subset=["age"])
table["spend_per_year"] = table["amount"] / table["age"]
features = table[["age", "amount", "spend_per_year"]]
X_train, X_test, y_train, y_test = train_test_split(features, table["churned"], random_state=0)
model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(X_train, y_train)
print("accuracy", model.score(X_test, y_test))
joblib.dump(model, "churn.joblib")
"""


def test_a_script_leads_from_both_files_to_its_model_and_back(modeltrail_command, tmp_path: Path) -> None:
    """`trace` names both files with digest and rows, `impact` the model; a column leads to its file only."""
    people = "".join(f"{n},{20 + n % 50},{n % 2}\n" for n in range(80))
    (tmp_path / "customers.csv").write_text("customer,age,churned\n" + people)
    bought = "".join(f"{n % 80},{n % 13}\n" for n in range(300))
    (tmp_path / "orders.csv").write_text("customer,amount\n" + bought)
    (tmp_path / "train.py").write_text(TRAIN)

    ran = modeltrail_command("run", "--", sys.executable, "train.py", cwd=tmp_path, MODELTRAIL_STRICT="1")
    assert ran.stdout.startswith("accuracy ")
    modeltrail_command("compact")

    (root,) = [json.loads(modeltrail_command("trace", "churn.joblib", "--json").stdout)]
    sources = {Path(node["name"]).name: (node["use"], node["rows"]) for node in root["inputs"]}
    assert {"customers.csv": ("train", 80), "orders.csv": ("train", 300), "train": ("train", 60)} == sources
    for name in ("customers.csv", "orders.csv"):
        reached = modeltrail_command("impact", str(tmp_path / name)).stdout
        assert "churn.joblib" in reached
    by_column = modeltrail_command("trace", "churn.joblib", "--column", "age").stdout
    assert ("customers.csv" in by_column, "orders.csv" in by_column) == (True, False)
    text = modeltrail_command("trace", "churn.joblib").stdout
    assert ("customers.csv" in text, "orders.csv" in text) == (True, True)


SEVERAL = """
import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from xgboost import XGBRegressor

import modeltrail

modeltrail.autolog()
table = pd.DataFrame({"age": range(40), "churned": [0, 1] * 20, "spent": range(40)})
with modeltrail.run("train") as run:
    for name, kind in (("churn", LogisticRegression), ("spent", XGBRegressor)):
        model = kind().fit(table[["age"]], table[{"churn": "churned"}.get(name, name)])
        joblib.dump(model, f"{name}.joblib")
        run.register(name, version=1, model=model)
"""


def test_models_of_one_run_are_each_of_their_own_class(modeltrail_command, tmp_path: Path) -> None:
    """`show` and `reproduce` tell class, library and task of the first as well, not those of the last one."""
    (tmp_path / "train.py").write_text(SEVERAL)
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, check=True, capture_output=True)
    modeltrail_command("compact")
    expected = {
        "churn": ("sklearn.linear_model.LogisticRegression", "sklearn", "classification"),
        "spent": ("xgboost.XGBRegressor", "xgboost", "regression"),
    }
    for name, known in expected.items():
        shown = json.loads(modeltrail_command("show", name, "--json").stdout)["model"]
        recipe = json.loads(modeltrail_command("reproduce", name, "--json").stdout)["training"]
        for found in (shown, recipe):
            assert known == tuple(found[key] for key in ("algorithm", "framework", "task"))
        assert shown["framework_version"]


LINKED = """
import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression

table = pd.read_csv("current/orders.csv")
model = LogisticRegression().fit(table[["amount"]], table["returned"])
joblib.dump(model, "latest/returns.joblib")
"""


def test_data_behind_a_link_is_found_by_where_it_lies(modeltrail_command, tmp_path: Path) -> None:
    """Of two months that a link led to each leads to the version that learned from it, and `why` says so."""
    (tmp_path / "train.py").write_text(LINKED)
    (tmp_path / "models").mkdir()
    (tmp_path / "latest").symlink_to("models")
    for month, rows in (("2026-10", 30), ("2026-11", 50)):
        (tmp_path / month).mkdir()
        lines = "".join(f"{n % rows},{n % 2}\n" for n in range(rows))
        (tmp_path / month / "orders.csv").write_text("amount,returned\n" + lines)
        (tmp_path / "current").unlink(missing_ok=True)
        (tmp_path / "current").symlink_to(month)
        modeltrail_command("run", "--", sys.executable, "train.py", cwd=tmp_path, MODELTRAIL_STRICT="1")
    modeltrail_command("compact")

    versions = []
    for month in ("2026-10", "2026-11"):
        reached = modeltrail_command("impact", str(tmp_path / month / "orders.csv"), "--json").stdout
        versions += [row["version"] for row in json.loads(reached) if row["kind"] == "model"]
    assert 2 == len(set(versions)) == len(versions)
    newest = str(tmp_path / "models" / "returns.joblib")
    assert versions[-1] == json.loads(modeltrail_command("show", newest, "--json").stdout)["model"]["version"]
    why = modeltrail_command("why", newest).stdout
    assert "2026-10/orders.csv" in why
    assert "and leads to" in why
    for question in ("show", "trace"):
        told = modeltrail_command(question, newest, cwd=tmp_path).stdout
        assert re.search(r"current/orders.csv  .*its path led to 2026-11/orders.csv", told)
    report = modeltrail_command("report", newest, "--format", "md").stdout
    assert f"its path led to `{tmp_path}/2026-11/orders.csv`" in report
    dataset = modeltrail_command("show", str(tmp_path / "2026-11" / "orders.csv")).stdout
    assert f"known as {tmp_path / 'current' / 'orders.csv'}" in dataset

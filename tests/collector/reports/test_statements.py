"""What people state: a file under version control, each statement with author and date."""

import hashlib
import json
import subprocess

import pytest

from modeltrail_collector.errors import ConfigError
from modeltrail_collector.reports import statements

GOOD = """
model = "churn"
[[statement]]
topic = "human_oversight"
text = "A person calls."
author = "Grace Example"
date = 2026-03-01
link = "https://acme.example/oversight.pdf"
[[statement]]
topic = "risks"
text = "Only of the third version."
author = "Ada Example"
date = 2026-03-02T10:00:00Z
versions = ["3"]
"""
YAML = """
statement:
  - topic: human_oversight
    text: A person calls.
    author: Grace Example
    date: 2026-03-01
"""


def test_a_statement_is_shown_with_author_and_date(churn, ask, tmp_path) -> None:
    """It stands in its item as declared by somebody on a day, and makes the item human and not observed."""
    file = tmp_path / "churn.toml"
    file.write_text(GOOD, encoding="utf-8")
    found = json.loads(ask(churn, "churn@2", "annex-iv", "json", statements=file).text)
    item = next(one for one in found["sections"] if one["number"] == "2(e)")
    assert ["human"] == item["status"]
    assert [] == item["facts"] == item["unsaid"]
    said = item["statements"][0]
    assert ("A person calls.", "Grace Example", "2026-03-01") == (said["text"], said["author"], said["date"])
    text = ask(churn, "churn@2", "annex-iv", "md", statements=file).text
    assert ": A person calls. See `https://acme.example/oversight.pdf`.\n>\n> declared by Grace" in text
    assert "declared by Grace Example on 2026-03-01 (churn.toml)" in text
    assert "third version" not in text
    assert "third version" in ask(churn, "churn@3", "annex-iv", "md", statements=file).text
    head = {one["name"]: one["value"] for one in found["head"]}
    assert hashlib.sha256(GOOD.encode()).hexdigest() == head["digest of the statements"]


def test_a_statement_is_shown_to_the_letter(churn, ask, tmp_path) -> None:
    """Markdown adds nothing to the words; a date after the report was made is remarked, in HTML too."""
    file = tmp_path / "churn.toml"
    later = GOOD.replace("2026-03-01", "2027-01-01").replace(
        'link = "https://acme.example/oversight.pdf"', ""
    )
    file.write_text(later, encoding="utf-8")
    text = ask(churn, "churn@2", "annex-iv", "md", statements=file).text
    assert (
        ": A person calls.\n>\n> declared by Grace Example on 2027-01-01, after this report was made ("
        in text
    )
    assert "after this report was made" in ask(churn, "churn@2", "annex-iv", "html", statements=file).text


def test_the_commit_of_the_file_is_named(tmp_path) -> None:
    """In a git repository the last commit that changed the file is named, and whether it was edited since."""
    file = tmp_path / "churn.toml"
    file.write_text(GOOD, encoding="utf-8")
    assert statements.read(file, "churn", "2").commit is None
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "said"]):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True)
    head = subprocess.run(
        ["git", "-C", tmp_path, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    found = statements.read(file, "churn", "2")
    assert (head, False) == (found.commit, found.changed)
    file.write_text(GOOD + "\n", encoding="utf-8")
    assert statements.read(file, "churn", "2").changed


def test_yaml_says_the_same(tmp_path) -> None:
    """A YAML file says what a TOML file says."""
    file = tmp_path / "churn.yaml"
    file.write_text(YAML, encoding="utf-8")
    (one,) = statements.read(file, "churn", "2").statements
    assert ("human_oversight", "Grace Example", "2026-03-01") == (one.topic, one.author, one.date)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("human_oversight", "human_oversigth"), "is no topic; nearest: human_oversight"),
        (('author = "Grace Example"\n', ""), "holds no statements"),
        (('"Grace Example"', '" "'), "has no author, or no text"),
        (("date = 2026-03-01", 'date = "first of March"'), "is none: write 2026-03-01"),
        (('model = "churn"', 'model = "risk"'), "speaks of the model 'risk', not of 'churn'"),
        (("[[statement]]", "[[statement"), "holds no statements"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, change, said) -> None:
    """A wrong topic, a missing author or date, or another model is named; nothing is left out in silence."""
    file = tmp_path / "churn.toml"
    file.write_text(GOOD.replace(*change), encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        statements.read(file, "churn", "2")

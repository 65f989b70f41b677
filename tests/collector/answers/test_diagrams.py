"""Traces as Mermaid and Graphviz: stable, bounded, and nothing in a name acts."""

import json
import re
import shutil
import subprocess

import pytest

from modeltrail_collector import answers
from modeltrail_collector.answers import diagrams

EVIL = [
    '"]; evil --> data_000',
    '"]\n    click data_1 "javascript:alert(1)"',
    '\\" ]; evil [label="x',
    "\\",
    '\\\\"',
    "%%{init: {'securityLevel': 'loose'}}%%",
    "<img src=x onerror=alert(1)>",
    "#quot;]#35;#lt;script#gt;",
    "`**markdown**`",
    "&quot;&#60;b&#62;",
    "style x:y#z;",
    "]] end subgraph graph }",
    "\\N\\G\\l\\r",
    "tab\t\0line\u2028\u202e\x1b[2J\x7f",
    "é漢字🙂",
    "n" * 70_000,
]
ID = r"(?:data|run|rest)_[0-9a-f]{12}"
MERMAID = [
    re.compile(r"flowchart TD"),
    re.compile(rf"    {ID}(\[\(|\[\[|\(\[|\[|>)\"((?:[\w \-./@,()+]|#\d+;|<br/>)*)\"(\)\]|\]\]|\]\)|\])"),
    re.compile(rf"    {ID} (?:-->|-\. \"(?:[\w \-./@,()+]|#\d+;)*\" \.->) {ID}"),
]
DOT = [
    re.compile(r'digraph trace \{|\}|    node \[fontname="sans-serif"\];'),
    re.compile(rf'    {ID} \[shape=\w+, label="(?:[^"\\\n]|\\["\\n])*"\];'),
    re.compile(rf'    {ID} -> {ID}(?: \[style=dashed, label="(?:[^"\\\n]|\\["\\n])*"\])?;'),
]


def node(name, *inputs, run=None, **more):
    run = run and {"run_id": run, "job_name": name, "state": "COMPLETE", "started_at": None,
                   "wrote_at": "2026-01-01T00:00:00Z", "steps": []}  # fmt: skip
    told = {"kind": "dataset", "version": None, "fingerprint": None, "column": None, "repeated": False,
            "cut": None, "more": 0, "namespace": name,
            "possible": False, "unsure": False, "copy_of": None}  # fmt: skip
    return told | more | {"name": name, "run": run, "inputs": list(inputs)}


def evil_tree():
    return node("root", *(node(name, node(f"raw {name}"), run=name, kind="model", version=name, column=name,
                               fingerprint=name, copy_of={"name": name}) for name in EVIL),
                run="r", kind="endpoint")  # fmt: skip


@pytest.mark.parametrize(("draw", "grammar"), [(diagrams.mermaid, MERMAID), (diagrams.dot, DOT)])
def test_no_name_leaves_its_label(draw, grammar) -> None:
    """Whatever things and runs are called, each line is one box or one arrow, and none is added."""
    lines = draw(evil_tree()).split("\n")
    assert [] == [line for line in lines if not any(form.fullmatch(line) for form in grammar)]
    assert 2 + 4 * len(EVIL) - len(EVIL) == sum(bool(grammar[1].fullmatch(line)) for line in lines)
    assert 1 + 3 * len(EVIL) == sum(bool(grammar[2].fullmatch(line)) for line in lines)


def mermaid_labels(text: str) -> list[str]:
    """The labels as a browser shows them: Mermaid makes `&#number;` of `#number;`."""
    found = [match[2] for line in text.split("\n") if (match := MERMAID[1].fullmatch(line))]
    return [re.sub(r"#(\d+);", lambda code: chr(int(code[1])), label) for label in found]


def test_names_are_still_read() -> None:
    """What is escaped is shown as it was, but for what steers a terminal; long names keep both ends."""
    labels = "\n".join(mermaid_labels(diagrams.mermaid(evil_tree())))
    for name in EVIL[:3:2] + EVIL[3:13]:
        assert name in labels
    assert r"tab\t\u0000line\u2028\u202e\u001b[2J\u007f" in labels
    assert "n" * 29 + "…" + "n" * 20 in labels


GRAPHVIZ = [shutil.which("dot")] if shutil.which("dot") else []


@pytest.mark.parametrize("program", GRAPHVIZ)
def test_graphviz_reads_the_same(program) -> None:
    """Graphviz finds in it as many boxes and arrows as were written, and its labels hold the names."""
    drawn = subprocess.run(
        [program, "-Tdot_json"], input=diagrams.dot(evil_tree()), capture_output=True, text=True, check=True
    )
    found = json.loads(drawn.stdout)
    assert "" == drawn.stderr
    assert (2 + 3 * len(EVIL), 1 + 3 * len(EVIL)) == (len(found["objects"]), len(found["edges"]))
    labels = [one["label"] for one in found["objects"]]
    assert 2 == sum(label.startswith("#quot;]#35;") for label in labels)


def test_ids_stay_the_same(churn) -> None:
    """Two drawings of one trace are equal, and a thing keeps its id in another trace."""
    third, second = (answers.trace(churn, f"churn@{n}") for n in (3, 2))
    for draw in (diagrams.mermaid, diagrams.dot):
        assert draw(third) == draw(answers.trace(churn, "churn@3"))
        assert set(re.findall(ID, draw(third))) & set(re.findall(ID, draw(second)))
    assert "data_" in diagrams.mermaid(third)
    assert "features.parquet" in diagrams.mermaid(third)


def test_a_thing_is_one_box(churn) -> None:
    """What two things were made from is drawn once: raw customers have one box and two arrows less."""
    text = diagrams.mermaid(answers.trace(churn, "churn@3"))
    assert 1 == text.count("customers.csv")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"copy_of": {"name": "old"}}, "the same bytes as old"),
        ({"unsure": True}, "failed and may not have written it"),
        ({"only": True}, "registered it"),
        ({"possible": True}, "use not seen"),
    ],
)
def test_what_is_not_sure_is_a_dashed_arrow_that_says_so(how, said) -> None:
    """But for what is sure by another way; all other arrows are plain."""
    read = node("read", node("raw"), run="writer", **how)
    if "only" in how:
        read["run"]["only_registered"] = True
    tree = node("made", read, run="reader")
    dashed = [line for line in diagrams.mermaid(tree).split("\n") if " .-> " in line]
    assert [True] == [f'{said}" .-> ' in line for line in dashed]
    text = dashed[0].split('"')[1]
    assert 1 == diagrams.dot(tree).count(f'[style=dashed, label="{text}"];')
    assert 3 == diagrams.mermaid(tree).count(" --> ")
    if "possible" in how:
        tree["inputs"].append({**read, "possible": False})
        assert " .-> " not in diagrams.mermaid(tree)


def test_a_diagram_is_bounded() -> None:
    """A run with 10,000 inputs shows 50 and a count; at most 400 arrows are drawn, and the rest is said."""
    wide = node("m", *(node(f"i{n}") for n in range(10_000)), run="r", more=5)
    text = diagrams.mermaid(wide)
    assert 52 == text.count("-->")
    assert '"9,955 more"' in text
    deep = node("d0")
    for n in range(300):
        deep = node(f"d{n + 1}", deep, *(node(f"{n} {m}") for m in range(9)), run=f"r{n}")
    for draw, arrow in ((diagrams.mermaid, "-->"), (diagrams.dot, "->")):
        assert 380 < draw(deep).count(arrow) <= diagrams.ARROWS
        assert "what is further back is not drawn" in draw(deep)
        assert len(draw(deep)) < 50_000


@pytest.mark.parametrize(("cut", "said"), diagrams.CUT.items())
def test_what_is_cut_is_drawn(cut, said) -> None:
    """Where the way is not followed further, a note says why."""
    assert f'"{said}"' in diagrams.dot(node("x", run="r", cut=cut))

"""A trace as a diagram in Mermaid's or Graphviz' language, with ids that stay the same from day to day.

Names come from strangers: in a label stands only what can neither end it nor mean anything to Mermaid,
Graphviz or a browser. What does not fit is drawn as a count.
"""

import hashlib
from collections import deque
from typing import Any, Final

import msgspec

from modeltrail_collector.answers.places import SAME_BYTES
from modeltrail_schemas.printable import printable

FAN_OUT: Final = 50
"""Inputs of one run that are drawn."""

ARROWS: Final = 400
"""Arrows in one diagram: Mermaid itself refuses more than 500."""

CUT: Final = {
    "depth": "not followed: more than 100 runs back",
    "size": "not followed: the answer is full",
    "columns": "the run does not say from which columns",
    "memory": "where this came from was not recorded",
}
"""Why the inputs of a thing are left out, by its `cut`."""

_LABEL: Final = 60
_PLAIN: Final = frozenset(" -_./@,()+")


class _Graph(msgspec.Struct):
    """Boxes (id -> shape and lines of text) and arrows, in the order in which they were found.

    An arrow is dashed where it has a text, which says what is not known, or not as it looks.
    """

    boxes: dict[str, tuple[str, list[str]]] = {}
    arrows: dict[tuple[str, str], str | None] = {}

    def add_arrow(self, before: str, after: str, text: str | None = None) -> None:
        """What is sure by one way is not in doubt by another."""
        self.arrows[before, after] = text and self.arrows.get((before, after), text)


def mermaid(tree: dict[str, Any]) -> str:
    """A trace as a Mermaid flowchart, raw data on top: at most 50 inputs of a run and 400 arrows."""
    graph = _graph(tree)
    shapes = {
        "dataset": '[("{}")]',
        "model": '[["{}"]]',
        "endpoint": '(["{}"])',
        "run": '["{}"]',
        "rest": '>"{}"]',
    }
    lines = ["flowchart TD"]
    for name, (shape, texts) in graph.boxes.items():
        lines.append(f"    {name}{shapes[shape].format('<br/>'.join(map(_for_mermaid, texts)))}")
    for (before, after), text in graph.arrows.items():
        arrow = f'-. "{_for_mermaid(text)}" .->' if text else "-->"
        lines.append(f"    {before} {arrow} {after}")
    return "\n".join(lines)


def dot(tree: dict[str, Any]) -> str:
    """A trace as a Graphviz digraph, raw data on top; limits as of `mermaid`."""
    graph = _graph(tree)
    shapes = {"dataset": "cylinder", "model": "box3d", "endpoint": "oval", "run": "box", "rest": "note"}
    lines = ["digraph trace {", '    node [fontname="sans-serif"];']
    for name, (shape, texts) in graph.boxes.items():
        label = "\\n".join(map(_for_dot, texts))
        lines.append(f'    {name} [shape={shapes[shape]}, label="{label}"];')
    for (before, after), text in graph.arrows.items():
        style = f' [style=dashed, label="{_for_dot(text)}"]' if text else ""
        lines.append(f"    {before} -> {after}{style};")
    return "\n".join([*lines, "}"])


def _graph(tree: dict[str, Any]) -> _Graph:
    """What of a tree is drawn, nearest first: a thing that is told in several places is one box."""
    graph = _Graph({_thing_id(tree): _thing(tree)}, {})
    waiting = deque([tree])
    while waiting:
        node = waiting.popleft()
        if node["repeated"] or not (node["run"] or node["inputs"]):
            continue
        room = ARROWS - len(graph.arrows) - 2
        if room < 0:
            graph.boxes[_id("rest")] = ("rest", ["what is further back is not drawn"])
            break
        run = _id("run", node["run"]["run_id"]) if node["run"] else _thing_id(node)
        shown = node["inputs"][: min(FAN_OUT, room)]
        if node["run"]:
            graph.boxes.setdefault(run, _run(node["run"]))
            graph.add_arrow(run, _thing_id(node), _how_written(node))
        for one in shown:
            graph.boxes.setdefault(_thing_id(one), _thing(one))
            graph.add_arrow(_thing_id(one), run, "use not seen" if one["possible"] else None)
        left = len(node["inputs"]) - len(shown) + node["more"]
        if left or node["cut"]:
            rest = _id("rest", run, _thing_id(node))
            graph.boxes[rest] = ("rest", [f"{left:,} more" if left else CUT[node["cut"]]])
            graph.add_arrow(rest, run)
        waiting.extend(shown)
    return graph


def _how_written(node: dict[str, Any]) -> str | None:
    """What a run that stands above a thing did, where it did not just make it."""
    if node["copy_of"] is not None:
        return f"wrote {SAME_BYTES} {node['copy_of']['name']}"
    if node["unsure"]:
        return "failed and may not have written it"
    return "registered it" if node["run"].get("only_registered") else None


def _thing_id(node: dict[str, Any]) -> str:
    content = node["run"]["run_id"] if node["run"] else f"{node['version']}\t{node['fingerprint']}"
    return _id("data", node["namespace"], node["name"], node["column"] or "", content)


def _id(kind: str, *parts: str) -> str:
    return f"{kind}_{hashlib.sha256(chr(9).join(parts).encode('utf-8', 'replace')).hexdigest()[:12]}"


def _thing(node: dict[str, Any]) -> tuple[str, list[str]]:
    version = node["version"] if node["kind"] == "model" else None
    lines = [node["name"] + (f"@{version}" if version else "")]
    lines += [f"column {node['column']}"] if node["column"] is not None else []
    lines += [node["namespace"]] if node["namespace"] not in ("file", "modeltrail://registry") else []
    lines += [node["fingerprint"][:12]] if node["fingerprint"] else []
    return node["kind"], lines


def _run(run: dict[str, Any]) -> tuple[str, list[str]]:
    return "run", [run["job_name"] or "", f"{run['state']} {(run['started_at'] or run['wrote_at'])[:19]}"]


def _short(text: str) -> str:
    """A label's line: of a long name the end says more than the middle."""
    text = printable(text[: 4 * _LABEL] + text[-4 * _LABEL :] if len(text) > 8 * _LABEL else text)
    half = _LABEL // 2
    return text if len(text) <= _LABEL else f"{text[: half - 1]}…{text[-half:]}"


def _for_mermaid(text: str) -> str:
    """Everything but letters, digits and a few harmless signs as Mermaid's `#number;`."""
    return "".join(sign if sign.isalnum() or sign in _PLAIN else f"#{ord(sign)};" for sign in _short(text))


def _for_dot(text: str) -> str:
    r"""Graphviz reads `\` and `&` in a label, and `"` ends it."""
    return _short(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")

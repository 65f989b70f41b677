"""The HTML reports in a real browser."""

import html
import importlib.util
import json
import re
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[3] / "tools" / "browser.py"


@pytest.fixture(scope="session")
def browser():
    """The script that opens a page in Chromium."""
    spec = importlib.util.spec_from_file_location("browser", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["audit", "annex-iv", "model-card"])
def test_a_browser_neither_complains_nor_asks(browser, recorded, ask, tmp_path, kind) -> None:
    """Chromium opens each report without a word on its console and without any request, and prints it."""
    page = tmp_path / "report.html"
    page.write_text(ask(recorded, "churn@1", kind).text, encoding="utf-8")
    assert ([], []) == browser.look(page, f"--print-to-pdf={tmp_path / 'report.pdf'}")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


MEASURE = """onload = () => {
    const page = document.querySelector("iframe").contentDocument
    const cells = [...page.querySelectorAll("td")].map(cell => cell.getBoundingClientRect())
    const letters = cells.filter(cell => cell.height > 100 && cell.width < 60).length
    console.log(`wide ${page.documentElement.scrollWidth}, columns of letters ${letters}`)
}"""


def measured(browser, text: str, width: int, folder: Path) -> str:
    """What the page says of itself in a window of this width."""
    text = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    frame = f'<iframe width="{width}" height="900" frameborder="0" srcdoc="{html.escape(text)}"></iframe>'
    page = folder / "page.html"
    page.write_text(f"{frame}<script>{MEASURE}</script>", encoding="utf-8")
    return " ".join(browser.look(page, f"--screenshot={folder / 'page.png'}")[0])


@pytest.mark.slow
@pytest.mark.parametrize("width", [800, 400])
def test_a_narrow_window_leaves_words_whole(browser, recorded, ask, tmp_path, width) -> None:
    """No report is wider than its window, and no column of a table is so narrow that words fall apart."""
    for kind in ("audit", "annex-iv", "model-card"):
        said = measured(browser, ask(recorded, "churn@1", kind).text, width, tmp_path)
        assert f"wide {width}, columns of letters 0" in said


@pytest.mark.slow
def test_a_long_path_breaks(browser, make, log_of, ask, tmp_path) -> None:
    """A path of hundreds of letters, which raw data and headings name, makes no page wider."""
    deep = "/" + "a_folder_with_a_long_name/" * 16
    events = json.loads(json.dumps(make.story()[:4]).replace(f"{make.data}/", deep))
    profile = make.facet(
        "modelTrail_featureProfile", columns={"a": {"histogram": {"edges": [0, 1], "counts": [1]}}}
    )
    events[3]["inputs"][0]["inputFacets"]["modelTrail_featureProfile"] = profile
    log = log_of(events)
    for kind in ("audit", "model-card"):
        assert "wide 800," in measured(browser, ask(log, "churn@1", kind).text, 800, tmp_path)


@pytest.mark.slow
def test_the_browser_would_tell(browser, tmp_path) -> None:
    """A page that complains and asks for something is seen to do both."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<script>console.error('x')</script><img src='http://tracker.example/x.png'>", encoding="utf-8"
    )
    console, asked = browser.look(page, f"--screenshot={tmp_path / 'bad.png'}")
    assert console
    assert "http://tracker.example/x.png" in asked

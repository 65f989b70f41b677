"""Opens an HTML file in headless Chromium and says what the page did: its console, its requests.

    python tools/browser.py page.html                exit code 1 if it complains or asks for anything
    python tools/browser.py page.html --screenshot page.png --width 1200 --height 2000
    python tools/browser.py page.html --pdf page.pdf

Needs Chromium (Debian: `apt-get install chromium`) on PATH, or CHROMIUM.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
OWN = re.compile(r"https?://([\w.-]+\.)?(google|googleapis|gstatic|gvt1|chromium)\.(com|org)/")


def find() -> str | None:
    """The Chromium of this machine."""
    names = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def look(page: Path, *more: str) -> tuple[list[str], list[str]]:
    """(messages of the console, addresses asked for) when the page is opened with these options."""
    browser = find()
    if browser is None:
        raise SystemExit("no Chromium: apt-get install chromium, or set CHROMIUM to its path")
    with tempfile.TemporaryDirectory() as home:
        net = Path(home) / "net.json"
        options = [*QUIET, f"--user-data-dir={home}/profile", f"--log-net-log={net}", *more]
        said = subprocess.run(
            [browser, *options, page.resolve().as_uri()],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if said.returncode != 0:
            raise SystemExit(f"Chromium ended with {said.returncode}: {said.stderr[-2000:]}")
        return re.findall(r"CONSOLE[:(].*", said.stderr), requests(net)


def requests(net: Path) -> list[str]:
    """Addresses outside of this machine's files that the page asked for; the browser's own are left out."""
    text = net.read_text(encoding="utf-8")
    try:
        events = json.loads(text)["events"]
    except json.JSONDecodeError:  # the browser ended before it closed the list
        events = json.loads(text.rstrip().rstrip(",") + "]}")["events"]
    urls = {
        event.get("params", {}).get("url", "") for event in events if isinstance(event.get("params"), dict)
    }
    return sorted(url for url in urls if re.match("(https?|wss?|ftp):", url) and not OWN.match(url))


def main() -> int:
    """Open the page; 1 if it complains or asks for anything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path)
    parser.add_argument("--screenshot", type=Path)
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--pdf", type=Path)
    options = parser.parse_args()
    more = [f"--window-size={options.width},{options.height}"]
    if options.pdf:
        more += [f"--print-to-pdf={options.pdf}", "--no-pdf-header-footer"]
    else:
        shot = options.screenshot or Path(tempfile.gettempdir()) / "page.png"
        more.append(f"--screenshot={shot}")
    console, asked = look(options.page, *more)
    for line in (*console, *asked):
        print(line)
    return 1 if console or asked else 0


if __name__ == "__main__":
    sys.exit(main())

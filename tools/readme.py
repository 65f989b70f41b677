"""Runs every code block of the README and the guides, and compares or rewrites the printed output.

    python tools/readme.py            compare: exit code 1 and a diff where the page is not true any more
    python tools/readme.py --write    rewrite the output in the pages
    python tools/readme.py --interop  also the commands that need what `make interop` installs

A `console` block holds one command (`$ ...`) with what it prints; a `python` block is a program of its own,
run in an empty folder beside the data file the pages speak of; an `sh` block holds commands without their
output. Ids, times and digests differ from run to run and are compared by their shape.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sys.executable).parent
FENCE = re.compile(r"^```(\w+)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BROKER = "localhost:9092"
INTEROP = "PYTHONPATH=tests python -m interop"
RUN_ELSEWHERE = {
    "git clone": "a clone needs the published address",
    "make test": "this check is part of it",
    "make bench": "takes minutes; a test runs its short form",
    "make ci": "this check is part of it",
    "make faults": "takes minutes; its short form is part of make test",
    "make setup": "the check runs inside what it sets up",
    "make kafka-up": "tests bring their own broker",
    "make kafka-down": "tests bring their own broker",
    "pip install": "a test installs the wheel",
}
CHURN = "tenure,spend,visits,churned\n" + "".join(
    f"{n % 60},{20 + n * 7 % 90},{n * 5 % 11},{int(n % 60 < 20)}\n" for n in range(240)
)
SHAPES = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "<date>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}…?"), "<hex>"),
    (re.compile(r"\b(\d{7,64}…|\d{12}\b)"), "<hex>"),
    (re.compile(r"\b\d\.\d{3,}\b"), "<score>"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|min|kB|KiB|MB|MiB|GB|GiB)\b"), "<amount>"),
    (re.compile(r"\b\d+\.\d+\.\d+(\.\w+)?\b"), "<version>"),
    (re.compile(r"[ ─━]{2,}"), "  "),
)


class Block(NamedTuple):
    """A fenced block of a page: its language, its text, and where the text lies in the page."""

    language: str
    text: str
    start: int
    end: int


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page that can be run."""
    found = (Block(match[1] or "", match[2], match.start(2), match.end(2)) for match in FENCE.finditer(page))
    return [block for block in found if block.language in {"console", "python", "sh"}]


def shape(text: str) -> str:
    """The text with everything that differs from run to run replaced by its kind."""
    text = text.replace(str(ROOT), "<root>")
    text = re.sub(r"^Installing modeltrail.*\n", "", text, flags=re.MULTILINE)  # only the first time
    for pattern, name in SHAPES:
        text = pattern.sub(name, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class Session:
    """A reader at a terminal, going through one page: `cd` holds from block to block."""

    def __init__(self, home: Path, bootstrap_servers: str | None, *, interop: bool) -> None:
        self.cwd = ROOT
        self.bootstrap_servers = bootstrap_servers
        self.interop = interop
        self.home = home
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("OPENLINEAGE", "MODELTRAIL", "MAKE", "MFLAGS"))
            },
            "NO_COLOR": "1",
            "COLUMNS": "100",  # wherever this runs the pages are as wide
            "TMPDIR": str(home),
            "MODELTRAIL_STRICT": "1",
        }

    def call(self, command: str, allowed: frozenset[int] = frozenset({0, 1})) -> str:
        """Run one command line that ends with one of these codes; what it prints to stdout."""
        marker = "@@cwd@@"
        path = [each for each in os.environ["PATH"].split(os.pathsep) if each != str(SCRIPTS)]
        if not command.startswith("make "):  # a reader comes to those with the environment activated
            path.insert(0, str(SCRIPTS))
        result = subprocess.run(
            [
                "bash",
                "-c",
                f"{command}\ncode=$?; echo; echo {marker}$PWD; exit $code",
            ],
            cwd=self.cwd,
            env={**self.environment, "PATH": os.pathsep.join(path)},
            capture_output=True,
            text=True,
            check=False,
        )
        output, _, tail = result.stdout.rpartition(f"\n{marker}")
        self.cwd = Path(tail.strip())
        if result.returncode not in allowed:
            raise SystemExit(f"$ {command}\nexit code {result.returncode}\n{output}\n{result.stderr}")
        return output

    def run(self, block: Block) -> str:
        """What the block should say: its commands, each with the output of now."""
        if block.language == "python":
            return self.python(block.text)
        lines = block.text.splitlines()
        if (
            block.language == "sh"
        ):  # nothing shows what was printed, so the exit code has to be as the page says
            for line in lines:
                self.output(line, frozenset({1 if line.endswith("exit code 1") else 0}))
            return block.text
        output = self.output(lines[0].removeprefix("$ "))
        return block.text if output is None else f"{lines[0]}\n{output.rstrip()}".rstrip() + "\n"

    def output(self, command: str, allowed: frozenset[int] = frozenset({0, 1})) -> str | None:
        """What a command prints now; None for one that is not run here."""
        bare = command.split("#", maxsplit=1)[0].strip()
        if not bare or any(bare.startswith(known) for known in RUN_ELSEWHERE):
            return None
        if bare.startswith(INTEROP) and not self.interop:
            return None
        if BROKER in bare:
            if self.bootstrap_servers is None:
                return None
            bare = bare.replace(BROKER, self.bootstrap_servers)
        return self.call(bare, allowed)

    def python(self, text: str) -> str:
        """Run a program in a folder of its own beside the data file that the pages speak of."""
        folder = Path(tempfile.mkdtemp(dir=self.home))
        (folder / "churn.csv").write_text(CHURN, encoding="utf-8")
        (folder / "train.py").write_text(text, encoding="utf-8")
        self.cwd = folder
        self.call("python train.py || exit 3")
        return text


def renew(page: Path, bootstrap_servers: str | None, *, interop: bool) -> str:
    """The page with every block as it runs now."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as home:
        session = Session(Path(home), bootstrap_servers, interop=interop)
        renewed = [(block, session.run(block)) for block in blocks(text)]
    for block, now in reversed(renewed):
        if shape(now) != shape(block.text):
            text = text[: block.start] + now + text[block.end :]
    return text


def main() -> int:
    """Compare or rewrite all pages; 1 if one is not true."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--interop", action="store_true")
    parser.add_argument("--bootstrap-servers", help=f"a broker for the commands that name {BROKER}")
    parser.add_argument(
        "pages", nargs="*", type=Path, default=[ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    )
    options = parser.parse_args()
    different = 0
    for page in options.pages:
        before = page.read_text(encoding="utf-8")
        after = renew(page, options.bootstrap_servers, interop=options.interop)
        if before == after:
            continue
        different = 1
        if options.write:
            page.write_text(after, encoding="utf-8")
        print(
            *difflib.unified_diff(
                before.splitlines(), after.splitlines(), str(page.name), "now", lineterm=""
            ),
            sep="\n",
        )
    return 0 if options.write else different


if __name__ == "__main__":
    sys.exit(main())

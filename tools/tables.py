"""Writes the reference of tables and columns into docs/tables.md, or checks it.

python tools/tables.py          write it
python tools/tables.py --check  exit code 1 where the page says something else
"""

import sys
from pathlib import Path

import modeltrail_schemas

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tables.md"
HEADING = "## Columns\n"


def reference() -> str:
    """The section of the page that describes every public table."""
    lines = [HEADING, "Columns named `bucket` are how a table lies on disk; the others are what it says.", ""]
    for name, table in modeltrail_schemas.tables().items():
        lines += [f"### {name}", "", table["doc"], "", "| column | type | |", "| --- | --- | --- |"]
        for column in table["columns"]:
            kind = column["type"] + ("" if column["nullable"] else ", never null")
            lines.append(f"| `{column['name']}` | {kind} | {column['doc']} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Write or check; 1 where a check finds another text."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = page.partition(HEADING)[0] + reference()
    if "--check" in sys.argv[1:]:
        if page != wanted:
            print(f"{PAGE.name} is not what the tables are now: python tools/tables.py", file=sys.stderr)
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

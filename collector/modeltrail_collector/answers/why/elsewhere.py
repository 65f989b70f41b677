"""What two programs consist of outside of their repositories, by `modelTrail_codeState`."""

from typing import Any

from modeltrail_collector.answers import recipe
from modeltrail_collector.answers.database import Row


def files(code: Row) -> dict[str, Row] | None:
    """The recorded files by the names of their modules; None where nobody looked."""
    told = recipe.elsewhere(code)
    return None if told is None else {file.name: {"path": file.path, "sha256": file.sha256} for file in told}


def unread(code: Row) -> str | None:
    """Why not all of it can be compared."""
    return recipe.unread(recipe.elsewhere(code), code.get("elsewhereCount"))


def repositories(code: Row) -> dict[str, str]:
    """The state of each repository that such files lie in, in words."""
    told: Any = code.get("repositories")
    return {
        str(one.get("root")): f"{str(one.get('commit'))[:12]}{'+' if one.get('dirty') else ''}"
        for one in (told if isinstance(told, list) else ())
        if isinstance(one, dict)
    }


def differing(was: Row, now: Row) -> list[str]:
    """The names of the files that differ; of a list that is cut nobody knows what is not on it."""
    old, new = was["elsewhere"], now["elsewhere"]
    if old is None or new is None:
        return []
    one_only = set() if was["unread"] or now["unread"] else old.keys() ^ new.keys()
    both = {name for name in old.keys() & new.keys() if old[name]["sha256"] != new[name]["sha256"]}
    return sorted(both | one_only)


def moved(was: Row, now: Row) -> list[str]:
    """What became of the repositories: `/srv/ourlib: 1f2e3d4c5b6a → 8c1f0a7d1b6e+`."""
    old, new = was["repositories"], now["repositories"]
    return [
        f"{root}: {old.get(root, 'not there')} → {new.get(root, 'not there')}"
        for root in sorted(old.keys() | new.keys())
        if old.get(root) != new.get(root)
    ]

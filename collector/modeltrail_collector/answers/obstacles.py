"""What stands in the way of making a model again by its recipe, in sentences."""

from pathlib import PurePosixPath
from typing import Final

from modeltrail_collector.answers.recipe import COMMIT, FILE, Code, Problem, Recipe, inside
from modeltrail_collector.tables.pairing import IN_MEMORY


def problems(recipe: Recipe) -> list[Problem]:
    """What stands in the way of making the model again."""
    stopping = [*_code_problems(recipe.code), *_place_problems(recipe)]
    others = (
        *_changes_problems(recipe.code),
        *_together_problems(recipe),
        *_loose_problems(recipe),
        *_data_problems(recipe),
        *_result_problems(recipe),
    )
    return [Problem(text, stops=True) for text in stopping] + [Problem(text) for text in others]


def _code_problems(code: Code | None) -> list[str]:
    if code is None:
        return ["Which code ran was not recorded."]
    found = [_commit_problem(code), _DIFF_PROBLEMS.get(code.diff_state), start_problem(code)]
    if code.dirty and code.diff_state == "not recorded":
        found.append("There were uncommitted changes, and they were not recorded.")
    return [problem for problem in found if problem]


_DIFF_PROBLEMS: Final[dict[str, str]] = {
    "redacted": "The uncommitted changes hold secrets that were taken out: the diff cannot be applied.",
    "cut": "The uncommitted changes were too long and were cut: the diff cannot be applied.",
    "binary": "Binary files with uncommitted changes are not in the diff: it cannot be applied.",
}


def _commit_problem(code: Code) -> str | None:
    if code.commit is None:
        return "No commit was recorded: the code cannot be fetched."
    if not COMMIT.fullmatch(code.commit):
        return "What was recorded as the commit is none."
    known = code.root or (code.location and code.location.repository)
    return None if known else "Where the repository lies was not recorded."


def start_problem(code: Code) -> str | None:
    """Why what ran cannot be started again."""
    if code.notebook:
        return "It ran in a notebook: its cells are to be run by hand."
    if code.entry_point == "<interactive>":
        return "It ran in an interactive session: what was typed was not recorded."
    if PurePosixPath(code.entry_point or "").name == "<stdin>":
        return "Its program came by the standard input, and was not recorded."
    if code.command is None:
        return "How it was started was not recorded."
    return "The recorded command line holds a NUL, which none can." if "\0" in "".join(code.command) else None


def _together_problems(recipe: Recipe) -> list[str]:
    """Of processes that train together one tells: what it says of its start is not how all were started."""
    together, run = (recipe.training or {}).get("distributed"), recipe.run or {}
    count = together.get("worldSize") if isinstance(together, dict) else None
    above = run.get("parent_job_name")
    if not isinstance(count, int) or count < 2 or above is None:
        return []
    told = f"It is one of {count:,} processes that trained together, below {above}: "
    return [f"{told}where that started them, the recorded command line alone does not."]


def _changes_problems(code: Code | None) -> list[str]:
    if code is None or code.commit is None or code.dirty is not None or code.diff_state != "not recorded":
        return []
    return [
        "Whether there were uncommitted changes was not recorded: other code than the commit's may have run."
    ]


def _loose_problems(recipe: Recipe) -> list[str]:
    """What the code needs that is no part of its repository."""
    code, found = recipe.code, []
    if code is None:
        return []
    if code.untracked_left_out:
        left_out = code.untracked_left_out[:1].upper() + code.untracked_left_out[1:]
        found.append(f"{left_out}: what the code reads of them is neither told nor brought.")
    if code.commit and code.elsewhere:
        count = len(code.elsewhere)
        files = f"{count:,} files" if count > 1 else f"{code.elsewhere[0].name}, a file"
        found.append(f"It needs {files} from outside of the repository: compared, and not brought.")
    if code.elsewhere_unread:
        found.append(f"Not recorded: {code.elsewhere_unread}.")
    found.append("Files that the code opens by a name that it puts together are not recorded.")
    return found


def _data_problems(recipe: Recipe) -> list[str]:
    if recipe.data and all(data.namespace == IN_MEMORY for data in recipe.data):
        return ["Where its data came from was not recorded: the run was seen to read none."]
    return [
        f"Which content {data.name} had was not recorded: it cannot be compared."
        for data in recipe.data or ()
        if data.fingerprint is None
    ] or ([] if recipe.data else ["Which data it learned from was not recorded."])


def _result_problems(recipe: Recipe) -> list[str]:
    artifact = recipe.artifact
    found = []
    if recipe.environment is None or recipe.environment.packages is None:
        found.append("Which packages were installed was not recorded.")
    if artifact is None or artifact.digest is None:
        found.append("The model's digest was not recorded: the new model cannot be compared.")
    if any(row.get("origin") == "search" for row in recipe.params or ()):
        found.append("A search that is saved holds how long its fits took: its bytes differ each time.")
    return found


def _place_problems(recipe: Recipe) -> list[str]:
    root = recipe.root
    elsewhere = [
        output["name"]
        for output in recipe.outputs
        if output["namespace"] == FILE and root and inside(output["name"], root) is None
    ]
    if not elsewhere:
        return []
    return [f"It writes outside of the repository, which would be overwritten: {', '.join(elsewhere)}."]

"""A run: what the host says and what is seen of it, and the events it becomes.

The package is called `runs` because `modeltrail.run` is the function.
"""

from modeltrail.runs.run import Run

__all__ = ["Run"]

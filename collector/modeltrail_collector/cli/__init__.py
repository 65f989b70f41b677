"""The collector's commands: parse, call, print. Found by the console script as entry points."""

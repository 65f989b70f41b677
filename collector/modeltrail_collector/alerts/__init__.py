"""Alerts that go on: what rules find is told once, wherever it has to be told, whatever dies meanwhile."""

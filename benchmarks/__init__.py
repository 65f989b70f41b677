"""Ratios against named peers: see README.md."""

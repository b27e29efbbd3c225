"""Whole-sequence processors: every node of a graph is a token, in order."""

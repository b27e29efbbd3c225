"""Data structures: operations stream in, one a step."""

"""Hydra groups of YAML files, one folder a group; names and values only, checked against typed schemas."""

"""Tasks on sequences, read in the order of the nodes."""

"""Speed and scale, one script a claim; each prints a ratio to another implementation run on the same inputs."""

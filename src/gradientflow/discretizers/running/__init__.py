"""Running a discretizer: the loop, and what comes of it."""

"""How long a step is: schedules and searches."""

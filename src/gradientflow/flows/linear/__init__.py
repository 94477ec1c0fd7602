"""Linear motion, mode by mode, in closed form."""

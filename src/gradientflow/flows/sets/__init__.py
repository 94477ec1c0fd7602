"""What holds a position and shapes its space: constraints, potentials, penalties."""

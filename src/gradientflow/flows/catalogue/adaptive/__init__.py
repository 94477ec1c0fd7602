"""Flows that scale the gradient by its own averages."""

"""Flows that a Brownian motion drives."""

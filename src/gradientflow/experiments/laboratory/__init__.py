"""The laboratory: one page in which methods run, and what is known of them stands beside."""

from .lab import Lab as Lab
from .lab import lab as lab

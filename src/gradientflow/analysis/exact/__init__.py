"""Exact readings: the leaf that recipes are run on, and the algebra that decides what they say."""

from .leaf import Exact as Exact
from .leaf import NotExactError as NotExactError

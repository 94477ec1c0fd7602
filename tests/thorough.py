"""What takes longer than a change should: run where the environment variable GRADIENTFLOW_THOROUGH is set."""

import os
from collections.abc import Iterable
from typing import Any

import pytest

THOROUGH = bool(os.environ.get("GRADIENTFLOW_THOROUGH"))
thorough = pytest.mark.skipif(not THOROUGH, reason="GRADIENTFLOW_THOROUGH=1 runs it")
# What is given in the place of something else: a thorough run checks types, and would answer first.
of_any_type = pytest.mark.skipif(THOROUGH, reason="a checker of types answers first")


def part(cases: Iterable[Any], every: int = 2) -> list[Any]:
    """Of many cases of one kind every so many-th, by `make thorough` all."""
    return list(cases)[:: 1 if THOROUGH else every]

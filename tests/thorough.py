"""What takes longer than a change should: run where the environment variable GRADIENTFLOW_THOROUGH is set."""

import os

import pytest

THOROUGH = bool(os.environ.get("GRADIENTFLOW_THOROUGH"))
thorough = pytest.mark.skipif(not THOROUGH, reason="GRADIENTFLOW_THOROUGH=1 runs it")

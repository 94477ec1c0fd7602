"""From one run to a million: many parameters, starts and seeds, and how each lane ends."""

from .result import Sweep as Sweep
from .sweep import sweep as sweep

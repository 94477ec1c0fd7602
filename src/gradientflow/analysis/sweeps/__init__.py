"""From one run to a million: many parameters, starts and seeds, and how each lane ends."""

from .basins import Basins as Basins
from .basins import Elsewhere as Elsewhere
from .basins import basins as basins
from .progress import silent as silent
from .result import Sweep as Sweep
from .store import done_in as done_in
from .sweep import sweep as sweep
from .tune import Tuned as Tuned
from .tune import tune as tune

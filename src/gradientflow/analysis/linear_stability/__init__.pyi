"""How long a step may be, and what happens beyond."""

from .bifurcation import Bifurcation as Bifurcation
from .bifurcation import bifurcation as bifurcation
from .central_flow import CentralFlow as CentralFlow
from .central_flow import CentralState as CentralState
from .edge import EdgeOfStability as EdgeOfStability
from .edge import edge_of_stability as edge_of_stability
from .function import stability_function as stability_function
from .regions import StabilityIntervals as StabilityIntervals
from .regions import StabilityMap as StabilityMap
from .regions import StabilityRegion as StabilityRegion
from .regions import stability_intervals as stability_intervals
from .regions import stability_map as stability_map
from .regions import stability_region as stability_region
from .stability import Stability as Stability
from .stability import stability as stability
from .survey import StabilitySurvey as StabilitySurvey
from .sweep import StepSweep as StepSweep
from .sweep import step_sweep as step_sweep

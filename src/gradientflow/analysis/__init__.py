"""The second floor: what flows and their discretizations have to do with each other."""

from .compare import Comparison as Comparison
from .compare import Entry as Entry
from .compare import compare as compare
from .exact import Exact as Exact
from .exact import NotExactError as NotExactError
from .experiment import Experiment as Experiment
from .grades import Grade as Grade
from .linear_stability import Bifurcation as Bifurcation
from .linear_stability import EdgeOfStability as EdgeOfStability
from .linear_stability import Stability as Stability
from .linear_stability import StabilityIntervals as StabilityIntervals
from .linear_stability import StabilityMap as StabilityMap
from .linear_stability import StabilityRegion as StabilityRegion
from .linear_stability import StepSweep as StepSweep
from .linear_stability import bifurcation as bifurcation
from .linear_stability import edge_of_stability as edge_of_stability
from .linear_stability import stability as stability
from .linear_stability import stability_function as stability_function
from .linear_stability import stability_intervals as stability_intervals
from .linear_stability import stability_map as stability_map
from .linear_stability import stability_region as stability_region
from .linear_stability import step_sweep as step_sweep
from .observed_order import ObservedOrder as ObservedOrder
from .verification import Claim as Claim
from .verification import Verification as Verification
from .verification import verify as verify

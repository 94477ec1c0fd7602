"""The second floor: what flows and their discretizations have to do with each other."""

from .compare import Comparison as Comparison
from .compare import Entry as Entry
from .compare import compare as compare
from .experiment import Experiment as Experiment
from .observed_order import ObservedOrder as ObservedOrder

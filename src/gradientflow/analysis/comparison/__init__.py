"""A flow beside its discretizations: errors, observed orders, and their report."""

from .compare import Comparison as Comparison
from .compare import Entry as Entry
from .compare import compare as compare
from .ensemble import EnsembleComparison as EnsembleComparison
from .ensemble import compare_ensemble as compare_ensemble
from .observed_order import ObservedOrder as ObservedOrder

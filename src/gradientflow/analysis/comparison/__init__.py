"""A flow beside its discretizations: errors, observed orders, and their report."""

from .compare import Comparison as Comparison
from .compare import Entry as Entry
from .compare import compare as compare
from .observed_order import ObservedOrder as ObservedOrder

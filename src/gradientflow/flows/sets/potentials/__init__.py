"""Convex potentials: the geometries of mirror flows."""

from .convex import ConvexPotential as ConvexPotential
from .convex import potential as potential
from .entropies import BoxEntropy as BoxEntropy
from .entropies import Entropy as Entropy
from .entropies import HyperbolicEntropy as HyperbolicEntropy
from .entropies import PositiveEntropy as PositiveEntropy
from .potential import Euclidean as Euclidean
from .potential import Potential as Potential
from .potential import Separable as Separable

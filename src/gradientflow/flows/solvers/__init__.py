"""Solvers made for gradient flows: diffrax solvers like any other, for `integrate` and for `diffrax.diffeqsolve`."""

from .exact_affine import ExactAffine as ExactAffine
from .exponential_rosenbrock import ExponentialRosenbrock as ExponentialRosenbrock
from .newton import NewtonKvaerno3 as NewtonKvaerno3
from .newton import NewtonKvaerno5 as NewtonKvaerno5
from .rosenbrock_wanner import RosenbrockWanner as RosenbrockWanner
from .stabilized_chebyshev import StabilizedChebyshev as StabilizedChebyshev

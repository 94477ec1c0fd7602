"""Energies: what a flow descends."""

from . import landscapes as landscapes
from .energy import CallableEnergy as CallableEnergy
from .energy import Curvature as Curvature
from .energy import Energy as Energy
from .energy import Proximable as Proximable
from .energy import energy as energy
from .expression import ExpressionEnergy as ExpressionEnergy
from .expression import from_expression as from_expression
from .hessian import LARGEST_DENSE as LARGEST_DENSE
from .quadratic import AbstractQuadratic as AbstractQuadratic
from .quadratic import LeastSquares as LeastSquares
from .quadratic import Mode as Mode
from .quadratic import Quadratic as Quadratic
from .regression import LinearRegression as LinearRegression
from .regression import LogisticRegression as LogisticRegression
from .sums import FiniteSum as FiniteSum
from .sums import MeanOverExamples as MeanOverExamples
from .tables import MODELS as MODELS
from .tables import read_table as read_table
from .tables import regression as regression
from .tables import standardized as standardized

"""The Hessian at a point: its spectrum, whose directions it is, and the points at which the gradient vanishes."""

from .density import SpectralDensity as SpectralDensity
from .density import spectral_density as spectral_density
from .smoothness import Smoothness as Smoothness
from .smoothness import smoothness as smoothness
from .spectrum import Spectrum as Spectrum
from .spectrum import curvature as curvature
from .stationary import StationaryPoints as StationaryPoints
from .stationary import stationary_points as stationary_points
from .taylor import TaylorModel as TaylorModel
from .taylor import taylor_model as taylor_model

"""The Hessian at a point: its spectrum, whose directions it is, and the points at which the gradient vanishes."""

from .spectrum import Spectrum as Spectrum
from .spectrum import curvature as curvature

"""Training on data: the noise of minibatches, and what a run does on examples that it does not see."""

from .gradient_noise import GradientNoise as GradientNoise
from .gradient_noise import gradient_noise as gradient_noise
from .validation import ValidationCurve as ValidationCurve
from .validation import validation_curve as validation_curve

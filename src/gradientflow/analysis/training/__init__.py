"""Training on data: its noise, what a run does on examples that it does not see, and how long its steps may be."""

from .gradient_noise import GradientNoise as GradientNoise
from .gradient_noise import gradient_noise as gradient_noise
from .learning_rate import SuggestedRate as SuggestedRate
from .learning_rate import suggest_lr as suggest_lr
from .report import TrainingReport as TrainingReport
from .report import report as report
from .safe_step import safe_step as safe_step
from .validation import ValidationCurve as ValidationCurve
from .validation import validation_curve as validation_curve
from .watch import WatchState as WatchState
from .watch import watch as watch

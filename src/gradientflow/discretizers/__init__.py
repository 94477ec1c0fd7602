"""The first floor: one-step maps of a flow, and the loop that iterates them."""

from . import optimizers as optimizers
from .adapters import FromDiffrax as FromDiffrax
from .chebyshev import RungeKuttaChebyshev as RungeKuttaChebyshev
from .chebyshev import SecondOrderChebyshev as SecondOrderChebyshev
from .conjugate_gradients import ConjugateGradients as ConjugateGradients
from .conjugate_gradients import SteepestDescent as SteepestDescent
from .discretizer import Discretizer as Discretizer
from .discretizer import check_answers as check_answers
from .euler import BackwardEuler as BackwardEuler
from .euler import ForwardEuler as ForwardEuler
from .euler import ImplicitMidpoint as ImplicitMidpoint
from .exact import ExactFlow as ExactFlow
from .iterate import iterate as iterate
from .langevin import EulerMaruyama as EulerMaruyama
from .methods import Method as Method
from .momentum import MomentumEuler as MomentumEuler
from .multistep import AdamsBashforth as AdamsBashforth
from .runge_kutta import TABLEAUS as TABLEAUS
from .runge_kutta import RungeKutta as RungeKutta
from .runge_kutta import Tableau as Tableau
from .splitting import LieSplitting as LieSplitting
from .splitting import StrangSplitting as StrangSplitting
from .step_rules import ConstantStep as ConstantStep
from .step_rules import Schedule as Schedule
from .step_rules import StepRule as StepRule
from .step_rules import as_step_rule as as_step_rule

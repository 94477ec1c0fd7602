"""The first floor: one-step maps of a flow, and the loop that iterates them."""

import functools

from gradientflow._lazy import old_name

from . import optimizers as optimizers
from .discretizer import Discretizer as Discretizer
from .discretizer import advance as advance
from .discretizer import check_answers as check_answers
from .discretizer import drawn_increments as drawn_increments
from .discretizer import fits as fits
from .discretizer import packed as packed
from .iteration import Carry as Carry
from .iteration import Draws as Draws
from .iteration import Iteration as Iteration
from .iteration import Seen as Seen
from .iteration import Shared as Shared
from .optimizers.conventions import MomentumConvention as MomentumConvention
from .optimizers.nelder_mead import nelder_mead as nelder_mead
from .oracle import ClippedGradient as ClippedGradient
from .oracle import DeterministicOracle as DeterministicOracle
from .oracle import Oracle as Oracle
from .oracle import RandomOracle as RandomOracle
from .oracle import flow_seen as flow_seen
from .oracles.minibatches import BatchOracle as BatchOracle
from .oracles.minibatches import DataParallelBatch as DataParallelBatch
from .oracles.minibatches import Minibatch as Minibatch
from .oracles.minibatches import MinibatchWithReplacement as MinibatchWithReplacement
from .oracles.noisy import NoisyGradient as NoisyGradient
from .oracles.noisy import SPSAGradient as SPSAGradient
from .running.batch import lanes_at_once as lanes_at_once
from .running.batch import run_batch as run_batch
from .running.checked import iteration_of as iteration_of
from .running.checked import prepared as prepared
from .running.iterate import iterate as iterate
from .running.method import Method as Method
from .running.method import Named as Named
from .running.method import as_method as as_method
from .running.sample import Chains as Chains
from .running.sample import sample as sample
from .schemes.admm import ADMM as ADMM
from .schemes.averages import AdaDeltaEuler as AdaDeltaEuler
from .schemes.averages import AveragesAhead as AveragesAhead
from .schemes.averages import AveragesEuler as AveragesEuler
from .schemes.chebyshev import RungeKuttaChebyshev as RungeKuttaChebyshev
from .schemes.chebyshev import SecondOrderChebyshev as SecondOrderChebyshev
from .schemes.conjugate_gradients import ConjugateGradients as ConjugateGradients
from .schemes.conjugate_gradients import SteepestDescent as SteepestDescent
from .schemes.discrete_gradient import DiscreteGradient as DiscreteGradient
from .schemes.douglas_rachford import DouglasRachford as DouglasRachford
from .schemes.euler import BackwardEuler as BackwardEuler
from .schemes.euler import ForwardEuler as ForwardEuler
from .schemes.euler import ImplicitMidpoint as ImplicitMidpoint
from .schemes.exact_solution import ExactSolution as ExactSolution
from .schemes.foreign import FromDiffrax as FromDiffrax
from .schemes.foreign import FromOptax as FromOptax
from .schemes.forward_backward import ForwardBackward as ForwardBackward
from .schemes.momentum import MomentumEuler as MomentumEuler
from .schemes.multistep import AdamsBashforth as AdamsBashforth
from .schemes.nesterov import NesterovExtrapolated as NesterovExtrapolated
from .schemes.nesterov import NesterovScheme as NesterovScheme
from .schemes.nesterov import RestartedNesterov as RestartedNesterov
from .schemes.runge_kutta import TABLEAUS as TABLEAUS
from .schemes.runge_kutta import RungeKutta as RungeKutta
from .schemes.runge_kutta import Tableau as Tableau
from .schemes.splitting import BAOAB as BAOAB
from .schemes.splitting import LieSplitting as LieSplitting
from .schemes.splitting import StrangSplitting as StrangSplitting
from .schemes.stochastic import EulerMaruyama as EulerMaruyama
from .schemes.stochastic import ExponentialEuler as ExponentialEuler
from .schemes.stochastic import LeimkuhlerMatthews as LeimkuhlerMatthews
from .step_rule import ConstantStep as ConstantStep
from .step_rule import ScheduledStep as ScheduledStep
from .step_rule import StepRule as StepRule
from .step_rule import as_step_rule as as_step_rule
from .steps import schedules as schedules
from .steps.barzilai_borwein import BarzilaiBorweinLong as BarzilaiBorweinLong
from .steps.barzilai_borwein import BarzilaiBorweinShort as BarzilaiBorweinShort
from .steps.clipped import ClippedStep as ClippedStep
from .steps.line_search import ArmijoSearch as ArmijoSearch
from .steps.line_search import ExactLineSearch as ExactLineSearch
from .steps.line_search import GridSearch as GridSearch
from .steps.line_search import WolfeSearch as WolfeSearch
from .steps.polyak import PolyakStep as PolyakStep
from .steps.trust_region import TrustRegionStep as TrustRegionStep

__getattr__ = functools.partial(old_name, __name__)

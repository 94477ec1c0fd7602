"""Gradient flows, and the optimizers that discretize them.

Names are imported from the three floors when first used, so that `import gradientflow` is instant.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "flows": (
        "AcceleratedFlow", "AdaDeltaFlow", "AdaGradFlow", "AdamFlow", "AdamWFlow", "BrownianPath", "Composite",
        "Coupled", "Deltas", "Energy", "FiniteSum", "FisherMetric", "Flow", "GradientFlow", "HeavyBall",
        "HessianDamped", "InteractingLangevin", "KineticLangevin", "Langevin", "LeastSquares", "LinearEnergy",
        "LinearRegression", "LogisticRegression", "LyapunovWarning", "MeanOverExamples", "MirrorFlow",
        "MirrorLangevin", "Mode", "Moments", "MoreauEnvelope", "Nesterov", "NewtonFlow", "Outcome", "Phase",
        "PreconditionedFlow", "ProjectedFlow", "Proximable", "Quadratic", "RMSpropFlow", "RescaledFlow",
        "RiemannianFlow", "SGDDiffusion", "Scaled", "SignFlow", "Status", "SteinFlow", "TimeChanged",
        "Trajectory", "Tree", "UnansweredQuestionError", "Vector", "constraints", "energy", "from_expression",
        "from_sympy", "integrate", "landscapes", "load", "penalties", "potentials", "prox",
    ),
    "discretizers": (
        "AdaDeltaStep", "AdamsBashforth", "AdaptiveStep", "Armijo", "BAOAB", "BackwardEuler",
        "BarzilaiBorweinLong", "BarzilaiBorweinShort", "Chains", "ClipGradient", "ClippedStep",
        "ConjugateGradients", "ConstantStep", "DataParallel", "Discretizer", "DouglasRachford", "EulerMaruyama",
        "ExactFlow", "ExactLineSearch", "ForwardBackward", "ForwardEuler", "FromDiffrax", "FromOptax",
        "GridSearch", "ImplicitMidpoint", "LeimkuhlerMatthews", "LieSplitting", "Method", "Minibatch",
        "MinibatchWithReplacement", "Momentum", "MomentumEuler", "NesterovLookahead", "NesterovStep",
        "NoisyGradient", "PolyakStep", "RestartedNesterov", "RungeKutta", "RungeKuttaChebyshev", "SPSA",
        "Schedule", "SecondOrderChebyshev", "SteepestDescent", "StepRule", "StochasticExponential",
        "StrangSplitting", "Tableau", "TrustRegion", "Wolfe", "iterate", "nelder_mead", "optimizers", "sample",
        "schedules",
    ),
    "analysis": (
        "Bifurcation", "Certificate", "Claim", "Comparison", "ConvergenceMap", "Counterexample", "Cycle",
        "EdgeOfStability", "Exact", "ExitTime", "Experiment", "GaussianLaw", "Grade", "GradientNoise",
        "ModifiedEnergy", "ModifiedEquation", "ModifiedFlow", "ModifiedHamiltonian", "NotExactError",
        "OrderProof", "Settled", "Stability", "StabilityIntervals", "StabilityMap", "StabilityRegion",
        "StationaryDensity", "StepSweep", "StrongOrder", "ValidationCurve", "Verification", "WorstCaseBound",
        "WorstCaseRate", "bifurcation", "compare", "convergence_map", "edge_of_stability", "exit_time",
        "find_cycle", "gaussian_law", "gradient_noise", "modified_equation", "modified_hamiltonian",
        "modified_rate", "order", "settle", "slow_equation", "slow_rate", "stability", "stability_function",
        "stability_intervals", "stability_map", "stability_region", "stationary_density", "stationary_law",
        "step_sweep", "strong_order", "validation_curve", "verify", "worst_case_bound", "worst_case_rate",
    ),
}  # fmt: skip
_FLOOR_OF = {name: floor for floor, names in _NAMES.items() for name in names}

__all__ = [*_FLOOR_OF, *_NAMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return importlib.import_module(f"gradientflow.{name}")
    if name in _FLOOR_OF:
        return getattr(importlib.import_module(f"gradientflow.{_FLOOR_OF[name]}"), name)
    raise AttributeError(f"module 'gradientflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

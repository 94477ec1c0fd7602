"""Names that are not known. Nothing numerical is imported here: a typo in the shell is answered at once."""

import difflib
from collections.abc import Iterable, Mapping


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not known, with the nearest that is."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {what} {name!r}{hint} Known: {', '.join(known)}"


# What was once at the front door, or is too many for its list: what it is called now, and in which room it is.
MOVED: Mapping[str, str] = {
    **{name: f"analysis.{name}" for name in (
        "Basins", "Bifurcation", "Certificate", "Claim", "Comparison", "ConvergenceMap", "Counterexample", "Cycle",
        "Design",
        "EdgeOfStability", "Elsewhere", "EnsembleComparison", "Exact", "ExitTime", "GaussianLaw", "GradientNoise",
        "ModifiedEnergy", "ModifiedEquation",
        "ModifiedHamiltonian", "NotExactError", "OrderProof", "Settled", "SpectralDensity", "Stability",
        "StabilityIntervals",
        "StabilityMap", "StabilityRegion", "StationaryDensity", "StepSweep", "StrongOrder", "Sweep",
        "TaylorModel", "Tuned", "ValidationCurve",
        "Verification", "WorstCaseBound", "WorstCaseFormula", "WorstCaseNoise", "WorstCaseRate", "compare_ensemble",
        "convergence_map", "design", "find_cycle", "modified_hamiltonian", "modified_rate",
        "report", "safe_step", "settle", "slow_equation", "slow_rate", "spectral_density", "stability_intervals",
        "stationary_density", "stationary_points",
        "strong_order", "suggest_lr", "taylor_model",
        "validation_curve", "watch", "worst_case_formula", "worst_case_noise",
    )},
    "Lab": "experiments.Lab",
    # The room bears the function's name.
    "curvature": "analysis.curvature.curvature",
    **{name: f"discretizers.{name}" for name in (
        "ADMM", "BackwardDifferentiation", "Chains", "MomentumConvention", "RelaxedAuxiliaryVariable",
        "ScalarAuxiliaryVariable", "Tableau", "VectorAuxiliaryVariable", "nelder_mead",
    )},
    **{name: f"flows.{name}" for name in (
        "BrownianPath", "FisherMetric", "LinearEnergy", "LyapunovWarning", "MeanOverExamples", "Mode", "Outcome",
        "Proximable", "PytreeState", "Status", "Vector",
    )},
    "NesterovStep": "NesterovScheme",
    "NesterovLookahead": "NesterovExtrapolated",
    "AdaptiveStep": "AveragesEuler",
    "AdaDeltaStep": "AdaDeltaEuler",
    "ExactFlow": "ExactSolution",
    "StochasticExponential": "ExponentialEuler",
    "Armijo": "ArmijoSearch",
    "Wolfe": "WolfeSearch",
    "TrustRegion": "TrustRegionStep",
    "Schedule": "ScheduledStep",
    "ClipGradient": "ClippedGradient",
    "SPSA": "SPSAGradient",
    "DataParallel": "DataParallelBatch",
    "HeavyBall": "HeavyBallFlow",
    "Nesterov": "NesterovFlow",
    "TimeChanged": "TimeChangedFlow",
    "HessianDamped": "HessianDampedFlow",
    "AcceleratedFlow": "BregmanFlow",
    "Tree": "flows.PytreeState",
    "Coupled": "flows.CoupledState",
    "Deltas": "flows.DeltasState",
    "Moments": "flows.MomentsState",
    "Scaled": "flows.ScaledState",
    "Momentum": "discretizers.MomentumConvention",
}  # fmt: skip

"""Why a training run fails: the causes by name."""

import enum


class Cause(enum.StrEnum):
    """Why a training run does what it does.

    Attributes:
        BEYOND_STABILITY: the step is longer than the curvature allows.
        WARM_UP_TOO_SHORT: it is, at the start only.
        NOT_FINITE_OPERATION: an operation of the loss, or its derivative, has no finite value where the run came.
        UPHILL: the updates point up the gradient.
        BAD_BATCH: one batch is unlike the others.
        BATCH_ORDER: the batches are sorted, each of another kind.
        PRECISION: numbers too coarse for the updates, or too small in range.
        NOISE_FLOOR: the noise of the batches holds the loss up.
        UNBOUNDED_BELOW: the loss has no minimum.
        VANISHING_GRADIENT: the gradient does not reach some layers.
        EXPLODING_GRADIENT: the gradient grows from layer to layer, or turn to turn.
        STALE_SECOND_MOMENT: an adaptive step is as long as old, smaller gradients allowed.
        STEP_TOO_SHORT: a much longer step would have gone much further.
        WEIGHT_DECAY: it pulls harder than the loss.
        HEALTHY: nothing is wrong.
        UNKNOWN: the evidence doesn't decide.

    Example:
        >>> from gradientflow.analysis import Cause
        >>> print(Cause.BEYOND_STABILITY)
        beyond_stability
    """

    BEYOND_STABILITY = "beyond_stability"
    WARM_UP_TOO_SHORT = "warm_up_too_short"
    NOT_FINITE_OPERATION = "not_finite_operation"
    UPHILL = "uphill"
    BAD_BATCH = "bad_batch"
    BATCH_ORDER = "batch_order"
    PRECISION = "precision"
    NOISE_FLOOR = "noise_floor"
    UNBOUNDED_BELOW = "unbounded_below"
    VANISHING_GRADIENT = "vanishing_gradient"
    EXPLODING_GRADIENT = "exploding_gradient"
    STALE_SECOND_MOMENT = "stale_second_moment"
    STEP_TOO_SHORT = "step_too_short"
    WEIGHT_DECAY = "weight_decay"
    HEALTHY = "healthy"
    UNKNOWN = "unknown"


# From the most specific: of several true causes the first is said first.
ORDER = (Cause.PRECISION, Cause.BAD_BATCH, Cause.BATCH_ORDER, Cause.WEIGHT_DECAY, Cause.NOT_FINITE_OPERATION,
         Cause.UPHILL, Cause.UNBOUNDED_BELOW, Cause.STALE_SECOND_MOMENT, Cause.EXPLODING_GRADIENT,
         Cause.WARM_UP_TOO_SHORT, Cause.VANISHING_GRADIENT, Cause.NOISE_FLOOR, Cause.STEP_TOO_SHORT,
         Cause.BEYOND_STABILITY)  # fmt: skip

"""What the arguments of flows and schemes are called in signatures: names for types that Python can't tell apart.

Of a state, a position or an increment only the structure is known, and that to whoever defines the flow: each is any
pytree of arrays, or of exact numbers and symbols where a recipe is read and not run.
"""

from typing import Any, TypeAlias

# z: a flow's full state, the position alone or a `Vector` such as `Phase(x, v)` with what else it has.
State: TypeAlias = Any
# x: what an energy is a function of, the user's own pytree of arrays [X].
Position: TypeAlias = Any
# t: a time on the flow's own clock, a scalar [T].
Time: TypeAlias = Any
# h: how far a step goes on that clock, a positive scalar [T].
StepLength: TypeAlias = Any
# The Brownian motion over a step, of variance h, shaped as the flow's noise says [√T]; `None` without noise.
Increment: TypeAlias = Any

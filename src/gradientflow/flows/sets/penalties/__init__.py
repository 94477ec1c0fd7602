"""Penalties: convex energies with kinks or walls, each with its proximal map and its least subgradient in closed form.

A penalty is the g of `Composite(f, g)`. Its weight has the units E/X of a slope, a squared norm's those E/X² of a
curvature. Norms run over all leaves of a pytree unless said otherwise.
"""

from .groups import GroupLasso as GroupLasso
from .groups import Nuclear as Nuclear
from .indicator import Indicator as Indicator
from .norms import L1 as L1
from .norms import L2 as L2
from .norms import ElasticNet as ElasticNet
from .norms import SquaredL2 as SquaredL2

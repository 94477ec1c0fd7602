"""Norms in which descent can be steepest: each with its dual and the direction in which a linear function falls most.

The norm of a pytree is the largest of its leaves' norms unless said otherwise, its dual the sum of theirs: each leaf
moves as if it were alone.
"""

from .norm import Euclidean as Euclidean
from .norm import Maximum as Maximum
from .norm import Norm as Norm
from .spectral import JORDAN as JORDAN
from .spectral import ConsistentRMS as ConsistentRMS
from .spectral import NewtonSchulz as NewtonSchulz
from .spectral import Scale as Scale
from .spectral import Spectral as Spectral
from .spectral import WidthTransfer as WidthTransfer

"""Named test energies: their minima, the domain they are usually drawn on and a customary start.

`names()` lists them; each is a function that returns a `Landscape`.
"""

from .landscape import Landscape as Landscape
from .named import beale as beale
from .named import bowl as bowl
from .named import double_well as double_well
from .named import gaussians as gaussians
from .named import get as get
from .named import himmelblau as himmelblau
from .named import monkey_saddle as monkey_saddle
from .named import names as names
from .named import quartic as quartic
from .named import rastrigin as rastrigin
from .named import rosenbrock as rosenbrock
from .named import saddle as saddle
from .named import tilted_quartic as tilted_quartic

"""What noise does: Gaussian laws by linear algebra, stationary densities by quadrature, strong orders, exit times."""

from .density import StationaryDensity as StationaryDensity
from .density import stationary_density as stationary_density
from .exit_time import ExitTime as ExitTime
from .exit_time import exit_time as exit_time
from .gaussian import GaussianLaw as GaussianLaw
from .gaussian import gaussian_law as gaussian_law
from .gaussian import stationary_law as stationary_law
from .strong_order import StrongOrder as StrongOrder
from .strong_order import strong_order as strong_order

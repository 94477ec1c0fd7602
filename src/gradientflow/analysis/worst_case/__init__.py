"""What a scheme or a flow guarantees on every energy of a class: certificates, and refutations beside them."""

from .bound import WorstCaseBound as WorstCaseBound
from .bound import worst_case_bound as worst_case_bound
from .certificate import Certificate as Certificate
from .convergence_map import ConvergenceMap as ConvergenceMap
from .convergence_map import convergence_map as convergence_map
from .cycles import Cycle as Cycle
from .cycles import find_cycle as find_cycle
from .designing import Design as Design
from .designing import design as design
from .formula import WorstCaseFormula as WorstCaseFormula
from .formula import worst_case_formula as worst_case_formula
from .noise import WorstCaseNoise as WorstCaseNoise
from .noise import worst_case_noise as worst_case_noise
from .rate import WorstCaseRate as WorstCaseRate
from .rate import worst_case_rate as worst_case_rate
from .settling import Counterexample as Counterexample
from .settling import Settled as Settled
from .settling import settle as settle

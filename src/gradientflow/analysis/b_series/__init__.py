"""Order and modified equations: what a scheme's B-series says of it."""

from .modified_equation import ModifiedEnergy as ModifiedEnergy
from .modified_equation import ModifiedEquation as ModifiedEquation
from .modified_equation import modified_equation as modified_equation
from .modified_equation import modified_rate as modified_rate
from .modified_flow import ModifiedFlow as ModifiedFlow
from .modified_hamiltonian import ModifiedHamiltonian as ModifiedHamiltonian
from .modified_hamiltonian import modified_hamiltonian as modified_hamiltonian
from .order import OrderProof as OrderProof
from .order import order as order
from .slow_manifold import slow_equation as slow_equation
from .slow_manifold import slow_rate as slow_rate
from .trees import Tree as Tree

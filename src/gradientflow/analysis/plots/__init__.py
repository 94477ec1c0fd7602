"""Pictures of energies and flows: fields, phase portraits, surfaces, cuts through a landscape of many unknowns."""

from .cuts import plane as plane
from .cuts import slice as slice
from .fields import field as field
from .fields import phase_portrait as phase_portrait
from .fields import surface as surface
from .film import Film as Film
from .film import film as film
from .landscape import landscape as landscape

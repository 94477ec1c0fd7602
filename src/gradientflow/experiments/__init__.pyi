"""Static view of the lazy names in `__init__.py`, for type checkers and editors."""

from .experiment import Experiment as Experiment
from .laboratory import Lab as Lab
from .laboratory import lab as lab

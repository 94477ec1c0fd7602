"""Diagnosis: from a training run that fails to its cause."""

from .causes import Cause as Cause
from .diagnosis import Diagnosis as Diagnosis
from .why import why as why

"""Diagnosis: from a training run that fails to its cause."""

from gradientflow._lazy import face

__getattr__, __dir__, __all__ = face(__name__, __file__)  # pyright: ignore[reportUnsupportedDunderAll]

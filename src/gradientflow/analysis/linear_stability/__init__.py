"""How long a step may be, and what happens beyond."""

from gradientflow._lazy import face

__getattr__, __dir__, __all__ = face(__name__, __file__)  # pyright: ignore[reportUnsupportedDunderAll]

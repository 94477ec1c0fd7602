"""The second floor: what flows and their discretizations have to do with each other."""

from gradientflow._lazy import face

__getattr__, __dir__, __all__ = face(__name__, __file__)  # pyright: ignore[reportUnsupportedDunderAll]

"""The third floor: questions as data. Named methods, TOML files, the listing, the command line."""

from gradientflow._lazy import face

__getattr__, __dir__, __all__ = face(__name__, __file__)  # pyright: ignore[reportUnsupportedDunderAll]

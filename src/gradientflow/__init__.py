"""Gradient flows, and the optimizers that discretize them.

Names are imported from the floors when first used, so that `import gradientflow` is instant.
"""

from ._lazy import face

__version__ = "0.2.0.dev0"

__getattr__, __dir__, __all__ = face(__name__, __file__)  # pyright: ignore[reportUnsupportedDunderAll]

"""Energies of the plane by name or formula."""

from gradientflow._formula import parse, variables_of
from gradientflow.flows import Energy, from_expression, landscapes

from ..entries import FILE, check

# What a formula's variables are called, unless it has two others.
_COORDINATES = ("x", "y")


def plane_energy(text: str) -> Energy:
    """The energy of two variables that a landscape's name or a formula in x and y stands for; nothing is run for it.

    Raises:
        ValueError: if it is neither, saying which part.
    """
    if FILE.fullmatch(text):
        raise ValueError(f"energy: {text!r} names a file, which is not run from here; type a formula in x and y")
    check({"energy": text})
    if text in landscapes.names():
        return landscapes.get(text)
    names = variables_of(parse(text))
    others = len(names) == len(_COORDINATES) and not set(names) & set(_COORDINATES)
    return from_expression(text, tuple(names) if others else _COORDINATES)

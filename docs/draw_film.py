"""Draws a film, for `pictures.md`: run by hand, `python docs/draw_film.py`."""

import pathlib

import jax

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Films gradient descent below and beyond its stability limit beside the flow."""
    E = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
    methods = {"descent, h = 0.2": (gf.ForwardEuler(), 0.2), "descent, h = 0.23": (gf.ForwardEuler(), 0.23)}
    found = gf.compare(gf.GradientFlow(E), methods, [3.0, 1.0], 3.0, orders=False)
    gf.film(found, pathlib.Path(__file__).parent / "figures" / "film.gif", frames=100, seconds=5.0)


if __name__ == "__main__":
    main()

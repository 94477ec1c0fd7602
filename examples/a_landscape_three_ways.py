"""What does a least-squares energy look like: as a surface, by its contours, as the field of its gradient?

Of ‖Mx − v‖² with the lecture's M and v the minimizer is (1/11, 7/11), where Mx = v. The gradient is at right angles to
the contours, and the longer the closer they lie: its length is the energy's steepest slope.
"""

import _output
import _table
import jax
import numpy as np

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
M, V, BOX = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0]), ((-1.6, 1.8), (-1.2, 2.4))


def main() -> None:
    """Draws the three, with a descent on each, and measures the gradient against the contours."""
    E = gf.LeastSquares(2**0.5 * M, 2**0.5 * V)
    run = gf.optimizers.gradient_descent(E, lr=0.02).iterate([1.7, 2.3], steps=60)
    figure = gf.plots.surface(E, BOX, paths=[run], figsize=(15.5, 4.8))
    figure.axes[0].set_position([0.0, 0.02, 0.33, 0.9])
    figure.set_layout_engine("none")
    contours, field = (figure.add_axes([left, 0.12, 0.25, 0.78]) for left in (0.39, 0.72))
    gf.plots.landscape(E, BOX, paths=[run], ax=contours, title="Contours, and −∇E")
    angle = np.linspace(0, 2 * np.pi, 400)[:-1]
    H, half = np.asarray(E.hessian), np.linalg.inv(np.linalg.cholesky(np.asarray(E.hessian))).T
    # The contour E = 1: an ellipse around the minimizer, and its tangent.
    circle, turned = np.stack([np.cos(angle), np.sin(angle)]), np.stack([-np.sin(angle), np.cos(angle)])
    contour, tangent = E.minimizer + (2**0.5 * half @ circle).T, (half @ turned).T
    gradients = jax.vmap(E.grad)(contour)
    along = np.abs(np.sum(gradients * tangent, axis=1)) / np.linalg.norm(gradients, axis=1)
    xs, ys = (np.linspace(*bounds, 15) for bounds in BOX)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1)
    arrows = -jax.vmap(jax.vmap(E.grad))(grid)
    drawn = field.quiver(*np.moveaxis(grid, -1, 0), *np.moveaxis(arrows, -1, 0), np.linalg.norm(arrows, axis=-1),
                         cmap="viridis", angles="xy", width=0.005)  # fmt: skip
    field.plot(*contour.T, color="#D55E00", lw=1.5, label="E = 1")
    field.set(xlabel="$x_1$", ylabel="$x_2$", title="−∇E with its length")
    field.legend(loc="upper right")
    figure.colorbar(drawn, ax=field, label="‖∇E‖")
    figure.axes[0].set_title("Surface")
    slope = np.linalg.norm(gradients, axis=1)
    _table.settle(
        ("the minimizer is (1/11, 7/11)", float(np.abs(11 * E.minimizer - np.array([1, 7])).max()),
         np.allclose(11 * E.minimizer, [1, 7])),
        ("there Mx = v", float(np.abs(M @ E.minimizer - V).max()), np.allclose(M @ E.minimizer, V)),
        ("all of the contour has E = 1", float(np.ptp(jax.vmap(E.value)(contour))),
         np.allclose(jax.vmap(E.value)(contour), 1)),
        ("∇E has no part along it", float(along.max()), along.max() < 1e-12),
        ("‖∇E‖ on it is least and greatest as √(2λ)", float(slope.max() / slope.min()),
         np.allclose([slope.min(), slope.max()], np.sqrt(2 * np.linalg.eigvalsh(H)), rtol=1e-4)),
        ("the descent's energy falls at each step", float(run.energy[-1]), bool((np.diff(run.energy) < 0).all())),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()

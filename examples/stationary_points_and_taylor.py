"""Where is Himmelblau's gradient zero, and what is the energy like there: a bowl, a saddle, a hill?

There are nine points: four minima, four saddles, a maximum, told apart by the signs of the Hessian. Near a saddle what
is left of the flow is ẏ = −Hy: it leaves along the eigenvector of the negative curvature, at that rate. A Taylor model
is off by the third power of the distance.
"""

import _output
import _table
import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Finds them, leaves a saddle, and measures the remainder of a Taylor model."""
    E = gf.landscapes.himmelblau()
    found = gf.stationary_points(E)
    saddle = found.of("saddle")[0]
    model = gf.taylor_model(E, saddle)
    leaving = model.eigenvectors[:, 0]
    path = gf.integrate(gf.GradientFlow(E), saddle + 1e-4 * leaving, 1.0, ts=np.linspace(0, 1, 201))
    away = np.linalg.norm(path.x - saddle, axis=1)
    rate = np.log(away[30] / away[0]) / (path.t[30] - path.t[0])
    direction = (path.x[30] - saddle) @ leaving / away[30]
    near = gf.taylor_model(E, [1.0, 2.0])
    distances = np.geomspace(1e-3, 1, 13)
    step = np.array([0.6, -0.8])
    points = np.array([1.0, 2.0]) + distances[:, None] * step
    errors = np.abs(jax.vmap(E.value)(points) - jax.vmap(near.energy.value)(points))
    order = np.polyfit(np.log(distances[:6]), np.log(errors[:6]), 1)[0]
    axes = (figure := Figure(figsize=(15, 4.8), layout="constrained")).subplots(1, 3)
    found.plot(ax=axes[0], title="Stationary points")
    axes[0].plot(*path.x.T, color="C3", lw=2.5)
    gf.taylor_model(E, [1.0, 2.0]).plot(ax=axes[1], title="A point between them, and its Taylor model")
    axes[2].loglog(distances, errors, "o-", label="Taylor model's error")
    axes[2].loglog(distances, errors[0] * (distances / distances[0]) ** 3, "k--", label="third power")
    axes[2].set(xlabel="distance from the point", title="What the model leaves out")
    axes[2].legend()
    linear = np.linalg.norm(E.grad(saddle))
    _table.settle(
        ("stationary points of Himmelblau's function", len(found.points), len(found.points) == 9),
        ("of them minima", found.kinds.count("minimum"), found.kinds.count("minimum") == 4),
        ("saddles, each of one negative curvature", found.kinds.count("saddle"), found.index.tolist().count(1) == 4),
        ("∇E is zero there", float(linear), linear < 1e-9),
        ("a path leaves the saddle at the rate −λ", float(rate / -model.eigenvalues[0]),
         abs(rate / -model.eigenvalues[0] - 1) < 0.02),
        ("along its eigenvector", float(direction), direction > 0.999),
        ("the Taylor model's error is of third order", float(order), abs(order - 3) < 0.05),
    )  # fmt: skip
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()

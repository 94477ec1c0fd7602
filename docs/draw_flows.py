"""Draws every flow on one bowl, for `flows.md`: run by hand, `python docs/draw_flows.py`. It finds the flows itself."""

import inspect
import pathlib

import jax
import numpy as np
from matplotlib.figure import Figure

import gradientflow as gf

jax.config.update("jax_enable_x64", True)

E, X0, GRID = gf.Quadratic([[1.0, 0.0], [0.0, 8.0]]), [-2.0, 1.0], np.linspace(-2.6, 1.6, 80)
COLUMNS = 3
# Of flows of particles: where they start.
ANGLES = np.arange(6) * np.pi / 3
ELLIPSE = np.array(X0) + np.stack([0.3 * np.cos(ANGLES), 0.15 * np.sin(ANGLES)], axis=1)
# Two examples, each with a bowl of its own; their mean is the bowl.
EXAMPLES = gf.FiniteSum(lambda x, d: E.value(x - d), [[0.6, 0.1], [-0.6, -0.1]])
# What a flow needs beside the energy, and how long it runs.
GIVEN = {
    gf.PreconditionedFlow: ({"metric": [1.0, 8.0]}, 3),
    gf.RiemannianFlow: ({"metric": lambda x: jax.numpy.diag(1 + 4 * x**2)}, 9),
    gf.MirrorFlow: ({"potential": gf.potentials.HyperbolicEntropy(0.1)}, 6),
    gf.ProjectedFlow: ({"constraint": gf.constraints.Box([-3.0, 0.4], 3.0)}, 3),
    gf.HeavyBallFlow: ({"mass": 1.0, "friction": 0.6}, 9),
    gf.NesterovFlow: ({}, 9),
    gf.HessianDampedFlow: ({"friction": 0.6, "damping": 0.4}, 9),
    gf.BregmanFlow: ({"p": 4.0}, 5),
    gf.RescaledFlow: ({}, 3),
    gf.SignFlow: ({}, 3),
    gf.AdaGradFlow: ({}, 6),
    gf.RMSpropFlow: ({"tau": 1.0}, 3),
    gf.AdamFlow: ({"tau1": 0.5, "tau2": 2.0}, 6),
    gf.AdamWFlow: ({"tau1": 0.5, "tau2": 2.0, "weight_decay": 0.3}, 6),
    gf.Langevin: ({"temperature": 0.05}, 6),
    gf.KineticLangevin: ({"temperature": 0.05}, 9),
    gf.MirrorLangevin: ({"potential": gf.potentials.HyperbolicEntropy(0.1), "temperature": 0.05}, 6),
    gf.SGDDiffusion: ({"step": 0.1}, 6),
    gf.InteractingLangevin: ({"temperature": 0.05}, 30),
    gf.SteinFlow: ({"temperature": 0.05}, 12),
}


def make(cls: type) -> tuple[gf.Flow, float]:
    """The flow on the bowl, and how long it runs."""
    if cls is gf.TimeChangedFlow:
        return gf.TimeChangedFlow(gf.GradientFlow(E), lambda t: t**2), 1.7
    if cls is gf.ModifiedFlow:
        return gf.ModifiedFlow(gf.GradientFlow(E), gf.ForwardEuler(), step=0.1, order=3), 3.0
    given, t1 = GIVEN.get(cls, ({}, 3))
    return cls(EXAMPLES if cls is gf.SGDDiffusion else E, **given), t1


def main() -> None:
    """Draws a panel a flow, the gradient flow's path in grey."""
    classes = [getattr(gf, name) for name in sorted(dir(gf)) if inspect.isclass(getattr(gf, name))]
    flows = [c for c in classes if issubclass(c, gf.Flow) and not inspect.isabstract(c)]
    rows = -(-len(flows) // COLUMNS)
    figure = Figure(figsize=(13, 2.9 * rows), layout="constrained")
    plain = gf.integrate(gf.GradientFlow(E), X0, 6.0).x
    levels = np.asarray(jax.vmap(lambda x: jax.vmap(lambda y: E.value(jax.numpy.array([x, y])))(GRID))(GRID)).T
    panels = figure.subplots(rows, COLUMNS).ravel()
    for panel, cls in zip(panels, flows, strict=False):
        flow, t1 = make(cls)
        start = jax.numpy.array(ELLIPSE if isinstance(flow, gf.flows.Ensemble) else X0)
        noise = {"key": jax.random.key(1)} if flow.brownian(flow.init(start)) is not None else {}
        path = gf.integrate(flow, start, t1, ts=np.linspace(0, t1, 241), **noise)
        # Times first, then the particles, of which most flows have one.
        x = np.asarray(path.x).reshape(241, -1, 2)
        panel.contour(GRID, GRID, levels, np.geomspace(0.05, 12, 8), colors="0.85", linewidths=0.8)
        panel.plot(*np.asarray(plain).T, "0.6", lw=1)
        panel.plot(x[..., 0], x[..., 1], "C0", lw=1.5 if x.shape[1] == 1 else 0.8)
        panel.plot(x[::16, :, 0], x[::16, :, 1], "C0o", ms=3 if x.shape[1] == 1 else 2)
        panel.set(aspect="equal", xlim=(-2.4, 1.4), ylim=(-1.1, 1.2), xticks=[], yticks=[])
        panel.set_title(f"{cls.__name__}\n{cls.equation.split(';')[0]}", fontsize=8.5)
        print(
            f"{cls.__name__}: E {float(path.energy[0]):.3g} → {float(path.energy[-1]):.3g} at t = {t1:g}, {path.status}"
        )
    for panel in panels[len(flows) :]:
        panel.set_axis_off()
    figure.savefig(pathlib.Path(__file__).parent / "figures" / "flows.png", dpi=90)


if __name__ == "__main__":
    main()

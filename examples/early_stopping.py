"""Does the error on unseen examples keep falling as training goes on, and what does stopping early save?

No: with 60 examples, 30 features and no penalty the training loss falls for ever, since a plane separates them. The
validation loss falls, turns and rises by a third, with full batches and with minibatches alike. Patience keeps its
minimum at a tenth of the steps. A penalty does what stopping does: the best of five is as good.
"""

import _output
import jax
import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer

import gradientflow as gf

jax.config.update("jax_enable_x64", True)
DATA, LABELS = load_breast_cancer(return_X_y=True)


def main() -> None:
    """Trains on 60 examples, watches the other 509, stops, and compares with a penalty."""
    order, X = np.random.default_rng(0).permutation(len(DATA)), (DATA - DATA.mean(axis=0)) / DATA.std(axis=0)
    everything, key = gf.LogisticRegression(X, LABELS), jax.random.key(0)
    seen, unseen = everything.subset(order[:60]), everything.subset(order[60:])
    method, start = gf.optimizers.gradient_descent(seen, lr=0.3), np.zeros(31)
    axes = (figure := Figure(figsize=(11.5, 4.6), layout="constrained")).subplots(1, 2, sharey=True)
    runs = {"all 60 examples a step": {}, "minibatches of 6": {"oracle": gf.Minibatch(6), "key": key}}
    for ax, (label, options) in zip(axes, runs.items(), strict=True):
        curve = gf.validation_curve(method.iterate(start, 5000, save_every=10, **options), unseen)
        stopped, best, last = curve.stopped(patience=20), curve.validation[curve.best], curve.validation[-1]
        kept = stopped.validation[stopped.best]
        print(f"{label}: validation best {best:.4f} at step {curve.steps[curve.best]}, last {last:.4f}")
        print(f"  patience stops at step {stopped.steps[-1]} with {kept:.4f}")
        assert 0 < curve.best < len(curve.steps) - 1
        assert last > 1.2 * best
        assert kept < 1.1 * best
        assert curve.training[-1] < curve.training[curve.best] / 3
        ax.loglog(curve.steps + 1, curve.training, color="C0", label="training")
        ax.loglog(curve.steps + 1, curve.validation, color="C1", label="validation")
        ax.plot(curve.steps[curve.best] + 1, best, "*", color="black", ms=13, zorder=4, label="best")
        ax.axvline(stopped.steps[-1] + 1, color="0.5", lw=1, ls=":", label="patience ends")
        ax.set(xlabel="step k + 1", title=label)
    penalized = []
    for ridge in (1e-3, 3e-3, 1e-2, 3e-2, 1e-1):
        fit = gf.LogisticRegression(X[order[:60]], LABELS[order[:60]], ridge=ridge)
        run = gf.optimizers.gradient_descent(fit, lr=0.3).iterate(start, 5000, save_every=10)
        penalized.append(float(unseen(run.x[-1])))
    print(f"the best of five penalties, trained to the end: {min(penalized):.4f}")
    assert abs(min(penalized) / best - 1) < 0.2
    axes[0].set(ylabel="logistic loss")
    axes[0].legend()
    _output.save(figure, __file__)


if __name__ == "__main__":
    main()

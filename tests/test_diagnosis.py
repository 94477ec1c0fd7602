"""`why`: from a training run that fails to its cause, with failures planted in runs small enough to know the answer."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from typer.testing import CliRunner

import gradientflow as gf
from gradientflow.analysis.diagnosis.log import read_off
from gradientflow.analysis.diagnosis.log_file import read_log
from gradientflow.analysis.diagnosis.operations import first_not_finite
from gradientflow.analysis.diagnosis.replay import Change, Replays
from gradientflow.analysis.diagnosis.training import Training
from gradientflow.experiments.cli import app

from .thorough import THOROUGH, thorough

H = jnp.array([1.0, 10.0])


def bowl(x):
    return jnp.sum(H * x**2) / 2


def regression(count=12, noise=0.1, size=8):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, size, 3))
    return [(x[i], x[i] @ np.array([1.0, 2.0, 3.0]) + noise * rng.normal(size=size)) for i in range(count)]


def factor_of(found):
    return float(re.search(r"(?:× |rate )([\d.e-]+)", found.helps[0]).group(1))


def squares(p, batch):
    return jnp.mean((batch[0] @ p - batch[1]) ** 2)


# --- The run ---------------------------------------------------------------------------------------------------------


def test_the_instrumented_run_is_the_users_own_and_a_scale_is_optaxs():
    data, tx, start = regression(), optax.adam(0.1), jnp.zeros(3)
    training = Training("why", squares, start, tx, data, None, 0, None, False)
    replays = Replays(training, 30)

    def plain(optimizer):
        x, state, out = start, optimizer.init(start), []
        update = jax.jit(lambda x, state, b: optimizer.update(jax.grad(squares)(x, b), state, x))
        for k in range(30):
            out.append(float(squares(x, data[k % len(data)])))
            moved, state = update(x, state, data[k % len(data)])
            x = optax.apply_updates(x, moved)
        return np.array(out)

    np.testing.assert_allclose(replays.run().loss, plain(tx), rtol=1e-12)
    halved = replays.run(Change("half", scale=0.5))
    np.testing.assert_allclose(halved.loss, plain(optax.chain(tx, optax.scale(0.5))), rtol=1e-12)
    # From a checkpoint it goes on as it went.
    whole = replays.run()
    again = replays.run(start=whole.checkpoints[5])
    np.testing.assert_array_equal(again.loss, whole.loss[whole.checkpoints[5].k :])


def test_a_shorter_memory_and_an_epsilon_are_optaxs():
    """What an update sees of its second moments is changed from outside: it must be the optimizer that has it so."""
    data, start = regression(), jnp.zeros(3)

    def losses(optimizer, **changed):
        training = Training("why", squares, start, optimizer, data, None, 0, None, False)
        replays = Replays(training, 30, training.programs.second_moments)
        assert [one.decay for one in replays.second] == [pytest.approx(optimizer_decay)]
        return replays.run(Change("", **changed)).loss

    for optimizer_decay, own, changed in ((0.99, {"decay": 0.8}, {"decay": 0.8}),
                                          (0.99, {"eps": 0.09}, {"epsilon": 0.3})):  # fmt: skip
        given = {"learning_rate": 0.05, "decay": 0.99, "eps": 0.0, "initial_scale": 1.0}
        found = losses(optax.rmsprop(**given), **changed)
        optimizer_decay = own.get("decay", 0.99)
        np.testing.assert_allclose(found, losses(optax.rmsprop(**given | own)), rtol=1e-9)


def test_batches_of_several_shapes_and_from_a_function():
    data = regression()
    ragged = [*data[:3], (data[3][0][:5], data[3][1][:5])]
    runs = [
        Replays(Training("why", squares, jnp.zeros(3), optax.sgd(0.02), batches, None, 0, None, False), 20).run().loss
        for batches in (ragged, lambda k: ragged[k % 4])
    ]
    np.testing.assert_array_equal(*runs)
    assert len(runs[0]) == 20


def test_the_same_training_again_compiles_nothing():
    compiled = []

    def listen(name, _, **__):
        if name == "/jax/core/compile/backend_compile_duration":
            compiled.append(name)

    def ask(start):
        # Made anew at each call: it is the same loss and the same optimizer all the same.
        loss = lambda p, batch: jnp.mean((batch[0] @ p - batch[1]) ** 2)
        return gf.why(loss, start, optax.adam(0.05), regression(), steps=60)

    ask(jnp.zeros(3))
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        again = ask(jnp.ones(3))
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []
    assert again.evidence["loss"][0] == pytest.approx(float(squares(jnp.ones(3), regression()[0])))


def test_a_loss_that_reads_something_else_by_now_is_another_one():
    scale = 1.0

    def programs():
        loss = lambda x: scale * bowl(x)
        return Training("why", loss, jnp.ones(2), optax.sgd(0.05), None, None, 0, None, False).programs

    one, again = programs(), programs()
    scale = 10.0
    two = programs()
    assert one is again
    assert one is not two


# --- Causes ----------------------------------------------------------------------------------------------------------


def test_a_step_beyond_stability_is_told_with_the_limit_of_the_optimizers_own_step():
    found = gf.why(bowl, jnp.ones(2), optax.sgd(0.5, momentum=0.5), steps=60)
    assert found.cause == "beyond_stability"
    assert found.step == 1
    # Heavy ball: lr λ < 2(1 + β), so 0.5 · 10 is 5/3 of it.
    assert found.sharpness["ratio"][0] == pytest.approx(5 / 3, rel=1e-3)
    assert found.local_scale == pytest.approx(0.6, rel=1e-3)
    assert 0.6 / 1.2 < found.safe_scale < 0.6 * 1.02
    # What is advised lies well inside of what survives.
    assert factor_of(found) <= 0.6 * found.safe_scale
    assert (found.grade, "60 steps" in found.reason) == ("measured", True)
    text = str(found)
    for words in ("What happened", "Why", "Evidence", "would have helped", "(measured", "one thing changed"):
        assert words in text


def test_a_healthy_run_is_called_healthy():
    found = gf.why(bowl, jnp.ones(2), optax.adam(0.05), steps=60)
    assert found.cause == gf.Cause.HEALTHY
    assert found.safe_scale >= 1
    assert found.also == ()
    # Adam's averages have seen nothing at the start.
    assert np.isnan(found.local_scale)


def test_a_run_gone_on_with_at_its_level_is_healthy_where_it_ends_a_hair_above():
    data, tx, x = regression(noise=1.0), optax.adam(0.02), jnp.zeros(3)

    def step(x, state, batch):
        moved, state = tx.update(jax.grad(squares)(x, batch), state, x)
        return optax.apply_updates(x, moved), state

    state, step = tx.init(x), jax.jit(step)
    for k in range(608):
        x, state = step(x, state, data[k % 12])
    found = gf.why(squares, x, tx, data, steps=40, state=state, first=608)
    assert not found.survived
    assert (found.cause, found.safe_scale >= 1) == ("healthy", True)


def test_a_root_at_zero_is_named_with_the_users_line():
    params = {"w": jnp.ones(2), "gate": jnp.zeros(3)}
    found = gf.why(lambda p: bowl(p["w"]) + jnp.sqrt(jnp.sum(p["gate"] ** 2)), params, optax.sgd(0.05), steps=40)
    assert found.cause == "not_finite_operation"
    assert found.step == 0
    assert "derivative of sqrt at 0" in found.says
    assert "test_diagnosis.py" in found.says
    assert found.safe_scale == 0


def test_a_bad_batch_is_found_and_leaving_out_another_does_not_help():
    data = regression()
    data[7] = (data[7][0] * 1e3, data[7][1])
    found = gf.why(squares, jnp.zeros(3), optax.sgd(0.05), data, steps=60)
    assert found.cause == "bad_batch"
    assert found.step == 7
    assert any("in another order it begins" in line and "right where that batch comes" in line
               for line in found.observed)  # fmt: skip
    assert "batch 7" in found.says
    survives = found.replays.set_index("changed")["survives"]
    assert survives["without batch 7"]
    assert not survives[[label for label in survives.index if label.endswith("instead")]].any()


def test_two_faults_each_of_which_is_enough_are_both_said():
    data = regression()
    data[7] = (data[7][0] * 1e3, data[7][1])
    found = gf.why(squares, jnp.zeros(3), optax.sgd(2.0), data, steps=60)
    assert (found.cause, found.also) == ("bad_batch", ("beyond_stability",))
    assert any("without batch 7, learning rate ×" in line for line in found.helps)


def test_a_step_that_grows_with_the_parameters_is_no_weight_decay():
    found = gf.why(bowl, jnp.ones(2), optax.adafactor(0.5), steps=30)
    assert not found.replays["changed"].str.contains("weight decay").any()


def test_a_gradient_that_is_not_the_losss_is_said():
    # A game: each of two plays against the other, held still.
    held = jax.lax.stop_gradient
    found = gf.why(lambda p: p[0] ** 2 + held(p[0]) * p[1], jnp.array([1.0, 2.0]), optax.sgd(0.1), steps=20)
    assert any("not the loss's derivative" in line for line in found.observed)
    own = gf.why(lambda p: p[0] ** 2 + p[0] * p[1] + p[1] ** 2, jnp.array([1.0, 2.0]), optax.sgd(0.1), steps=20)
    assert not any("derivative" in line for line in own.observed)


def test_updates_lost_in_bfloat16_are_told_from_a_step_too_short():
    half = jnp.full(4, 3.0, jnp.bfloat16)
    found = gf.why(lambda x: jnp.sum((x - 1) ** 2), half, optax.sgd(2e-3), steps=200)
    assert found.cause == "precision"
    assert found.evidence["lost"].iloc[-1] > 0.5
    short = gf.why(lambda x: jnp.sum((x - 1) ** 2), jnp.full(4, 3.0), optax.sgd(2e-5), steps=200)
    assert short.cause == "step_too_short"
    if not THOROUGH:
        return
    # Of two faults the one that alone, taken away, lets the run get down is said first.
    both = gf.why(lambda x: jnp.sum((x - 1) ** 2), half, optax.sgd(2e-5), steps=200)
    assert (both.cause, both.also) == ("step_too_short", ("precision",))


def test_a_loss_without_a_minimum():
    found = gf.why(lambda x: jnp.sum(x) + 0.01 * jnp.sum(jnp.sin(x)), jnp.ones(2), optax.sgd(0.1), steps=40)
    assert found.cause == "unbounded_below"


def test_a_step_too_long_at_the_start_only():
    def narrow_at_first(p):
        return 0.5 * p["x"] ** 2 * (1 + 20 * p["y"] ** 2) + 0.25 * p["y"] ** 2

    found = gf.why(narrow_at_first, {"x": jnp.array(1.0), "y": jnp.array(1.0)}, optax.sgd(1.5), steps=200)
    assert found.cause == "warm_up_too_short"


def test_noise_and_not_curvature_holds_the_loss_up():
    targets = 1 + 3 * np.random.default_rng(0).normal(size=(100, 3))
    # With lr·2 = 1 the noise lifts the loss by as much as it has at its minimum.
    found = gf.why(lambda p, b: jnp.sum((p - b) ** 2), jnp.full(3, 20.0), optax.sgd(0.5), list(targets), steps=300)
    assert found.cause == "noise_floor"


# --- What helps ------------------------------------------------------------------------------------------------------


def cliff(p):
    return jnp.log1p(jnp.sum(jnp.array([1.0, 400.0]) * p**2))


def kink(p):
    return p[0] ** 2 / 2 + jnp.sqrt(p[1] ** 2 + 1e-4)


def test_what_helps_is_a_step_that_gets_down_and_not_one_that_merely_survives():
    start = jnp.array([1.5, 0.9])
    found = gf.why(kink, start, optax.sgd(2.6), steps=80)
    assert found.cause == "beyond_stability"
    x = start
    for _ in range(80):
        x = x - 2.6 * factor_of(found) * jax.grad(kink)(x)
    # At the longest that survives it bounces from one side of the kink to the other, not far below the start.
    assert kink(x) < 0.3 * kink(start)


def test_a_run_that_bounces_far_above_where_a_shorter_step_ends_is_not_healthy():
    found = gf.why(kink, jnp.array([3.0, 0.07]), optax.sgd(0.8), steps=80)
    assert found.cause == "beyond_stability"
    assert factor_of(found) <= 0.0625


def test_a_step_too_long_for_an_operation_names_both():
    found = gf.why(lambda x: -jnp.log(x[0]) + 2 * x[0] ** 2, jnp.array([1.0]), optax.sgd(1.0), steps=30)
    assert found.cause == "beyond_stability"
    assert any("log of a negative number" in line and "test_diagnosis.py" in line for line in found.observed)
    assert factor_of(found) <= 0.5


def test_where_no_limit_can_be_read_a_shorter_step_that_mends_the_run_says_enough():
    accumulated = optax.MultiSteps(optax.sgd(0.05, momentum=0.9), 4)
    found = gf.why(cliff, jnp.array([3.0, 1e-3]), accumulated, steps=160)
    assert found.cause == "beyond_stability"
    assert any("can't be read" in line for line in found.observed)


def test_a_weight_decay_that_takes_next_to_nothing_is_not_suspected():
    found = gf.why(cliff, jnp.array([3.0, 0.5]), optax.lion(0.3), steps=80)
    assert not found.replays["changed"].str.contains("weight decay").any()


def test_a_loss_that_falls_for_ever_until_it_overflows_has_no_minimum():
    found = gf.why(lambda x: -jnp.sum(x**4), jnp.ones(2), optax.sgd(0.1), steps=60)
    assert found.cause == "unbounded_below"
    assert "not_finite_operation" not in found.also


def test_no_step_is_tried_where_none_can_matter():
    data = regression()
    data[7] = (data[7][0] * np.nan, data[7][1])
    found = gf.why(squares, jnp.zeros(3), optax.sgd(0.05), data, steps=30)
    assert (found.cause, found.safe_scale) == ("bad_batch", 0)
    assert found.replays["changed"].str.startswith("learning rate").sum() == 1


# --- Operations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "x", "says"),
    [
        (lambda x: jnp.log(x).sum(), [1.0, 0.0], "log of 0"),
        (lambda x: (1 / x).sum(), [1.0, 0.0], "division by 0"),
        (lambda x: jnp.exp(x).sum(), [1000.0], "exp of 1000 overflows"),
        (lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0).sum(), [1.0, -1.0], "sqrt of a negative number (-1)"),
        (lambda x: jnp.linalg.norm(x), [0.0, 0.0], "the derivative of sqrt at 0"),
        (lambda x: x.at[jnp.array([5])].get(mode="fill").sum(), [1.0, 0.0], "an index lies outside"),
        (lambda x: jax.lax.scan(lambda c, _: (c * jnp.log(x[0]), None), x[0], None, length=3)[0], [0.0], "log of 0"),
    ],
)
def test_the_operation_that_breaks_is_named(fn, x, says):
    found = first_not_finite(fn, jnp.array(x))
    assert found is not None
    assert says in found.says
    assert "test_diagnosis.py" in found.line


def test_what_is_finite_has_no_such_operation():
    masked = jnp.array([0.5, -jnp.inf])
    assert (
        first_not_finite(lambda x: jax.nn.logsumexp(x + jnp.where(jnp.isfinite(masked), masked, -1e30)), jnp.ones(2))
        is None
    )


# --- Bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gf.why(3, jnp.ones(2), optax.sgd(0.1)), "`loss` must be a function"),
        (lambda: gf.why(lambda x: x, jnp.ones(2), optax.sgd(0.1)), "`loss` must answer one real number"),
        (lambda: gf.why(bowl, jnp.ones(2), 0.1), "`optimizer` must be an optax transformation"),
        (lambda: gf.why(squares, jnp.ones(3), optax.sgd(0.1), []), "`batches` must be a list of at least one"),
        (lambda: gf.why(squares, jnp.ones(3), optax.sgd(0.1), jnp.ones((4, 3))), "write [batch] for one batch"),
        (lambda: gf.why(squares, jnp.ones(3), optax.sgd(0.1)), "`batches` is missing"),
        (lambda: gf.why(lambda p, b, key: 0.0, jnp.ones(3), optax.sgd(0.1), regression()), "`key` is missing"),
        (lambda: gf.why(bowl, jnp.ones(2), optax.adam(1), state=optax.adam(1).init(jnp.ones(3))), "`state` doesn't"),
        (lambda: gf.why(bowl, jnp.ones(2), optax.adam(0.1), steps=0), "`steps` must be a whole number"),
        (lambda: gf.why(squares, jnp.ones(3), optax.sgd(0.1), iter(regression())), "itertools.islice"),
        (lambda: gf.why(squares, jnp.ones(3), optax.sgd(0.1), lambda: regression()[0]), "k -> batch"),
        (lambda: gf.why(lambda p, b: jnp.sum(b[0] @ p), jnp.ones(3), optax.sgd(0.1), [jnp.ones((8, 3)), jnp.ones(8)]),
         "give [(x, y)]"),
        (lambda: gf.why(lambda x: (bowl(x), {}), jnp.ones(2), optax.sgd(0.1)), "has_aux=True is for"),
        (lambda: gf.why(bowl, jnp.ones(2), optax.sgd(0.1), has_aux=True), "has_aux=True is for"),
        (lambda: gf.why(bowl, "x", optax.adam(0.1)), "`params` must be a pytree with arrays"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, words):
    with pytest.raises((TypeError, ValueError), match=r"^why: ") as caught:
        call()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# --- Logs and the command line ---------------------------------------------------------------------------------------

K = np.arange(80)
FALLING = 2 * np.exp(-K / 30)


@pytest.mark.parametrize(
    ("loss", "verdict", "step"),
    [
        (FALLING, "falling", None),
        (np.where(K < 60, FALLING, np.nan), "overflow", 60),
        (np.where(K < 40, FALLING, FALLING[40] * 2.0 ** (K - 40)), "diverged", 40),
        (1 + FALLING * (K < 20) + 0.2 * (-1.0) ** K, "period two", 40),
        (FALLING + 5 * (K == 50), "spikes", 50),
        (np.minimum(2, 0.5 + np.exp(-K / 4)) + 0.01 * np.random.default_rng(0).normal(size=80), "plateau", 40),
        (2.303 + 0.01 * np.random.default_rng(0).normal(size=400), "plateau", 200),
        (2.303 + 0.01 * np.random.default_rng(1).normal(size=1000), "plateau", 500),
        (1 + 1e-3 * 1.1**K * (-1.0) ** K, "period two", 40),
        (FALLING[:4], "can't tell", None),
    ],
)
def test_what_a_log_says(loss, verdict, step):
    found = read_off(pd.DataFrame({"step": np.arange(len(loss)), "loss": loss}))
    assert found.verdict == verdict
    assert found.step == step or abs(found.step - step) <= 2


def test_the_command_line_reads_logs_and_runs(tmp_path):
    log = tmp_path / "log.csv"
    pd.DataFrame({"step": K, "loss": np.where(K < 60, FALLING, np.nan), "lr": 0.1}).to_csv(log, index=False)
    done = CliRunner().invoke(app, ["why", str(log), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "not finite from step 60" in done.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "data:image/png" in page
    assert "://" not in page
    (tmp_path / "run.py").write_text(
        "import jax.numpy as jnp, optax\ndef mine():\n"
        "    return lambda x: 2 * jnp.sum(x**2), jnp.ones(2), optax.sgd(0.6)\n"
    )
    done = CliRunner().invoke(
        app, ["why", f"{tmp_path / 'run.py'}:mine", "--steps", "9", "--json", "--precision", "float64"]
    )
    assert done.exit_code == 0, done.output
    assert '"cause": "beyond_stability"' in done.output


def test_a_log_of_other_tools_has_other_names(tmp_path):
    file = tmp_path / "log.csv"
    for header in ("Step,Value", "iteration,train_loss"):
        file.write_text(f"{header}\n1,2.5\n")
        assert read_log(file).to_dict("list") == {"step": [1.0], "loss": [2.5]}
    file.write_text("step,train_loss,value\n1,2,3\n")
    with pytest.raises(ValueError, match="say which, --loss COLUMN"):
        read_log(file)


def test_a_log_says_that_the_learning_rate_grew_or_that_it_guesses():
    rate = np.where(K < 50, 0.1 * np.exp(-K / 10), 0.1)
    grown = read_off(pd.DataFrame({"step": K, "loss": FALLING + 5 * (K == 50), "lr": rate}))
    assert "grows from 0.00101 to 0.1" in " ".join(grown.seen)
    assert "learning rate raised" in grown.meanings[0]
    guessing = np.log(10) + 0.01 * np.random.default_rng(1).normal(size=200)
    assert "ln 10" in " ".join(read_off(pd.DataFrame({"step": np.arange(200), "loss": guessing})).seen)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("semicolons.csv", "step;loss\n1;2.5\n2;2\n"),
        ("tabs.tsv", "step\tloss\n1\t2.5\n2\t2\n"),
        ("lines.jsonl", '{"loss": 2.5, "step": 1}\n{"step": 1, "eval_loss": 3}\n{"loss": 2, "step": 2}\n'),
        ("validated.csv", "epoch,step,val_loss,train_loss\n0,1,,2.5\n0,1,3.0,\n0,2,,2\n"),
        ("epochs.csv", "epoch,accuracy,loss,val_loss\n1,0.1,2.5,3\n2,0.2,2,3\n"),
        ("exported.csv", '"Step","run - train/loss","run - train/loss__MIN"\n1,2.5,2.5\n2,2,2\n'),
    ],
)
def test_a_log_as_other_tools_write_it(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_log(tmp_path / name).to_dict("list") == {"step": [1.0, 2.0], "loss": [2.5, 2.0]}


def test_a_log_that_counts_nothing_has_a_step_a_row(tmp_path):
    (tmp_path / "log.csv").write_text("lr,loss\n0.1,3\n0.1,\n0.1,2\n")
    assert read_log(tmp_path / "log.csv").to_dict("list") == {"step": [0, 2], "loss": [3, 2], "lr": [0.1, 0.1]}


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "is empty; it needs a column loss"), ("step,los\n1,2\n", "'loss' is not in its first line"),
     ("step,loss\n1,x\n", "line 2, column 'loss': 'x' is no number"),
     ("step;loss\n1;2,5\n", "'2,5' is no number; write it with a point")],
)  # fmt: skip
def test_a_log_that_is_none_is_one_line(tmp_path, text, words):
    file = tmp_path / "log.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"^why: ") as caught:
        read_log(file)
    assert words in str(caught.value)


# --- The benchmark: forty planted failures on scikit-learn's digits ---------------------------------------------------


@thorough
def test_forty_planted_failures():
    from . import planted

    models, right, wrong = list(planted.MODELS), 0, []
    for j, optimizer in enumerate(planted.OPTIMIZERS):
        for i, cause in enumerate(planted.CAUSES):
            found = gf.why(*cause(models[(i + j) % 3], optimizer))
            right += found.cause == cause.__name__
            if found.cause != cause.__name__:
                wrong.append((cause.__name__, models[(i + j) % 3], optimizer, str(found.cause)))
    assert right >= 38, wrong


@thorough
def test_other_planted_failures():
    from . import planted

    found = {cause.__name__: str(gf.why(*cause()).cause) for cause in planted.OTHERS}
    assert found == {name: name for name in found}


@thorough
def test_healthy_runs_are_called_healthy():
    from . import planted

    models, optimizers = list(planted.MODELS), [*planted.OPTIMIZERS, "sgd", "adam"]
    pairs = [(models[(j + j // 3) % 3], optimizer) for j, optimizer in enumerate(optimizers)]
    found = {pair: str(gf.why(*planted.healthy(*pair)).cause) for pair in pairs}
    assert {pair: cause for pair, cause in found.items() if cause != "healthy"} == {}

"""Logs as tools leave them (gaps, several counters, a torn last line), and runs that are lost at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import gradientflow as gf
from gradientflow.analysis.diagnosis.log import read_off
from gradientflow.analysis.diagnosis.log_file import read_log


def written(folder, text, name="log.csv"):
    (folder / name).write_text(text)
    return read_log(folder / name)


def test_a_loss_that_was_not_written_is_none_that_was_not_finite(tmp_path):
    log = written(tmp_path, "Step,run - train/loss,run - lr\n0,2.3,0.1\n1,,0.1\n2,1.9,0.1\n3,NaN,0.1\n4,,0.1\n")
    assert log["step"].tolist() == [0, 2, 3, 4]
    np.testing.assert_array_equal(log["loss"], [2.3, 1.9, np.nan, np.nan])


def test_of_several_counters_the_trainer_s_counts(tmp_path):
    log = written(tmp_path, "_step,trainer/global_step,Train Loss,Learning Rate\n0,49,2.0,0.1\n1,99,1.0,0.1\n")
    assert log["step"].tolist() == [49, 99]
    assert set(log) == {"step", "loss", "lr"}


def test_of_several_losses_none_is_guessed(tmp_path):
    with pytest.raises(ValueError, match="'loss' could be any of train_loss and train/loss"):
        written(tmp_path, "step,train_loss,train/loss\n1,2.0,3.0\n")


def test_a_last_line_may_be_torn_and_no_other(tmp_path):
    rows = '{"step": 1, "loss": 2.0}\n{"step": 2, "lo'
    assert written(tmp_path, rows, "log.jsonl")["step"].tolist() == [1]
    with pytest.raises(ValueError, match="line 2 is no JSON"):
        written(tmp_path, rows + '\n{"step": 3, "loss": 1.0}\n', "log.jsonl")


def test_an_empty_log_has_nothing_to_rename(tmp_path):
    with pytest.raises(ValueError, match="is empty") as refused:
        written(tmp_path, "")
    assert "rename" not in str(refused.value)


def test_a_key_is_made_by_jax():
    with pytest.raises(TypeError, match=r"`key` must be made by jax.random.key\(seed\), got 0"):
        gf.why(lambda p, b, key: p**2, 1.0, optax.sgd(0.1), [1.0], key=0)


def test_a_network_that_breaks_away_at_once_is_not_unknown():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(64, 5))
    target = x @ np.arange(5.0)
    network = eqx.nn.MLP(5, 1, 16, 2, key=jax.random.key(0))

    def loss(network, batch):
        return jnp.mean((jax.vmap(network)(batch[0])[:, 0] - batch[1]) ** 2)

    found = gf.why(loss, network, optax.sgd(3.0), [(x, target)], steps=30)
    assert found.cause == "beyond_stability"
    assert "not finite" not in found.helps[0]


def test_a_table_without_names_is_read_where_its_columns_are_plain_and_asked_about_where_not(tmp_path):
    assert written(tmp_path, "1,2.5\n2,2.4\n").to_numpy().tolist() == [[1, 2.5], [2, 2.4]]
    assert written(tmp_path, "2.5\n2.4\n").to_numpy().tolist() == [[0, 2.5], [1, 2.4]]
    (tmp_path / "log.csv").write_text("1,2.5,0.1\n2,2.4,0.1\n")
    with pytest.raises(ValueError, match=r"numbers in its first line; .*by its place, --loss 2 say, of 3$"):
        read_log(tmp_path / "log.csv")
    assert read_log(tmp_path / "log.csv", "2")["loss"].tolist() == [2.5, 2.4]
    for loss in ("4", "0", "loss"):
        with pytest.raises(ValueError, match=f"of 3, not '{loss}'"):
            read_log(tmp_path / "log.csv", loss)
    # Of two columns neither of which counts either may be the loss.
    with pytest.raises(ValueError, match="numbers in its first line"):
        written(tmp_path, "2.5,1\n2.4,1\n")


def test_a_spike_at_one_batch_in_ten_is_no_plateau(tmp_path):
    """The one before is among what came before the next, and hides it from a look at that alone."""
    k = np.arange(300)
    for period, times in ((5, 3), (10, 5), (20, 4)):
        usual = 0.3 + 0.02 * np.random.default_rng(0).normal(size=300)
        rows = [f"{i},{value!r}" for i, value in enumerate(map(float, np.where(k % period == 3, times * usual, usual)))]
        reading = read_off(written(tmp_path, "\n".join(["step,loss", *rows])))
        assert reading.verdict == "spikes"
        assert f"they come every {period} steps, as one batch of an epoch does" in reading.seen[-1]
    heavy = 1 + 0.1 * np.abs(np.random.default_rng(0).standard_t(2, size=300))
    rows = [f"{i},{value!r}" for i, value in enumerate(map(float, heavy))]
    assert read_off(written(tmp_path, "\n".join(["step,loss", *rows]))).verdict == "plateau"


def test_a_loss_that_doubles_after_its_lowest_is_no_plateau(tmp_path):
    k = np.arange(250)
    fallen = 2.1 * np.exp(-k / 120) + 0.2
    loss = np.concatenate([fallen, fallen[-1] + 0.5 * k / 250]) * (1 + 0.03 * np.random.default_rng(0).normal(size=500))
    rows = [f"{i},{value!r}" for i, value in enumerate(map(float, loss))]
    assert read_off(written(tmp_path, "\n".join(["step,loss", *rows]))).verdict == "diverged"
    # What wanders by its own size at the bottom of a fall has not left it.
    bottom = np.where(np.arange(500) < 100, 2.3 * np.exp(-np.arange(500) / 7) + 1e-6, 1e-6)
    rows = [
        f"{i},{value!r}" for i, value in enumerate(map(float, bottom * np.random.default_rng(1).uniform(0.3, 1.7, 500)))
    ]
    assert read_off(written(tmp_path, "\n".join(["step,loss", *rows]))).verdict == "plateau"


def test_of_two_losses_the_one_that_is_asked_for_is_read_and_its_rows_are_told_as_they_are(tmp_path):
    """The lowest row is told, no mean of neighbours; and what is counted by its name."""
    generator = np.random.default_rng(0)
    loss = [*(2 * np.exp(-np.arange(60) / 15) + 0.05 * generator.random(60)), *(0.1 + 0.05 * np.arange(60))]
    rows = [f"{k},{value!r},{2 * value!r}" for k, value in enumerate(map(float, loss))]
    (tmp_path / "log.csv").write_text("\n".join(["Epoch,loss_G,loss_D", *rows]))
    with pytest.raises(ValueError, match=r"could be any of loss_g and loss_d.*--loss COLUMN"):
        read_log(tmp_path / "log.csv")
    with pytest.raises(ValueError, match="unknown column 'loss_g'; did you mean 'loss_G'"):
        read_log(tmp_path / "log.csv", "loss_g")
    found = read_off(read_log(tmp_path / "log.csv", "loss_D"))
    lowest = int(np.argmin(loss))
    assert found.verdict == "diverged"
    assert f"falls to {2 * loss[lowest]:.4g} at epoch {lowest} " in found.seen[0]


@pytest.mark.parametrize("waves", [False, True])
def test_what_goes_up_and_down_and_stays_on_its_level_has_not_diverged(waves):
    noise = np.abs(1 + 0.5 * np.random.default_rng(3).normal(size=100))
    loss = 1 + 0.5 * np.sin(np.arange(100) / 3) if waves else noise
    assert read_off(pd.DataFrame({"step": np.arange(100), "loss": loss})).verdict == "plateau"

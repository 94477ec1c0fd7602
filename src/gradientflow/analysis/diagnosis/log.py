"""What a log of any framework's training says by itself: period two, spikes, plateau, overflow; or "can't tell"."""

import dataclasses
import math
import os
import textwrap
from typing import Any

import numpy as np
import pandas as pd

from ..results.grades import Grade, Graded
from ..results.result import Drawn
from .trouble import first_jump

_FEWEST = 8
# A noisy loss is looked at through means of at most so many rows.
_WIDEST = 9
# Differences of independent noise change their sign two times in three.
_ALTERNATES = 0.9
# A learning rate grows by so much at once; what differs by so many standard errors is no noise.
_GROWN, _ERRORS = 1.5, 4.0
# A loss that is back up by so much of its lowest, or of its fall, has left it.
_BACK_UP, _OF_FALL = 0.5, 0.05
# A single loss so many times above the usual one of so many rows around it is high; several are more than chance.
_HIGH, _WINDOW, _SEVERAL = 1.5, 21, 3
# Jumps come regularly where of the gaps between them so many are one and the same.
_REGULAR = 0.8
# Guessing among n classes costs ln n; a loss so close to that is taken for it.
_GUESSING, _CLASSES = 5e-3, 100


@dataclasses.dataclass(frozen=True, repr=False)
class LogReading(Graded, Drawn):
    """What a log says.

    `.plot()` draws the loss, and the norms where the log has them.

    Attributes:
        verdict: overflow, diverged, period two, spikes, plateau, falling, or can't tell.
        step: where it began, as the log counts; `None` where nothing did.
        seen: what is in the log, a sentence each.
        meanings: what that can mean; a log alone decides between causes only rarely.
        would_tell: what would decide.
        log: the log.
    """

    drawn_by = "diagnosis.log_figure:plot_log"

    verdict: str
    step: int | None
    seen: tuple[str, ...]
    meanings: tuple[str, ...]
    would_tell: tuple[str, ...]
    log: pd.DataFrame

    @property
    def grade(self) -> Grade:
        """Measured: what is seen; unknown where the log can't tell."""
        return Grade.UNKNOWN if self.verdict == "can't tell" else Grade.MEASURED

    def why_so(self) -> str:
        """Why it has its grade."""
        if self.grade is Grade.UNKNOWN:
            return "the log doesn't decide"
        return f"read off {len(self.log)} rows of the log; its cause was not checked by a replay"

    @property
    def headline(self) -> str:
        """The verdict."""
        return f"log: {self.verdict}"

    def __repr__(self) -> str:
        """In words."""
        lines = [f"{self.verdict} ({self.grade}: {self.reason})", ""]
        for title, sentences in (
            ("Seen in the log", self.seen),
            ("What that can mean (not checked)", self.meanings),
            ("What would tell", self.would_tell),
        ):
            if sentences:
                lines.append(title + ":")
                for one in sentences:
                    lines += textwrap.wrap(one, 100, initial_indent="  ", subsequent_indent="  ")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """In plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "step": self.step,
            "grade": str(self.grade),
            "reason": self.reason,
            "seen": list(self.seen),
            "meanings": list(self.meanings),
            "would_tell": list(self.would_tell),
        }

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes report.html, one file that links to nothing.

        Raises:
            ValueError: if it can't be written.
        """
        from gradientflow import _files

        from .report import report_log

        page = report_log(self)
        _files.write_folder(directory, lambda folder: _write(folder / "report.html", page))


def read_off(log: pd.DataFrame) -> LogReading:
    """What a log says.

    Args:
        log: with the columns step and loss, and lr, grad_norm, update_norm where there are; `.attrs["counter"]` says
            what the first counts: steps unless it does.
    """
    steps, loss = log["step"].to_numpy(), log["loss"].to_numpy(dtype=float)
    counter = log.attrs.get("counter", "step")
    more = ("the run itself: gradientflow why FILE.py:FUNCTION, which replays it with one thing changed",)
    finite = np.isfinite(loss)
    if not finite.any() or len(log) < _FEWEST:
        seen = f"{len(log)} rows, {int(finite.sum())} with a loss that is finite"
        if len(log) and not finite.all() and finite.sum() < _FEWEST:
            return _overflow(log, steps, loss, more)
        return LogReading("can't tell", None, (seen,), (), (f"a log of at least {_FEWEST} rows", *more), log)
    if not finite.all():
        return _overflow(log, steps, loss, more)
    noisy = _is_noisy(loss)
    quarter = max(2, len(loss) // 4)
    last, before = float(np.median(loss[-quarter:])), float(np.median(loss[-2 * quarter : -quarter]))
    first = float(np.median(loss[: max(1, len(loss) // 20)]))
    smooth = _smooth(loss)
    low = int(np.argmin(smooth))
    lowest = float(smooth[low])
    above = last > first and last - lowest > 0.1 * abs(lowest)
    # The lowest of a noisy level lies below it.
    wander = 3 * float(np.median(np.abs(np.diff(loss)))) if noisy else 0.0
    alternating = _alternating(steps, loss)
    # Back up by half of the fall, or by half of the lowest itself where that is more than the fall's last digits.
    back = min(0.5 * (first - lowest), max(_BACK_UP * abs(lowest), _OF_FALL * (first - lowest)))
    rises = above or last - lowest > max(wander, back) > 0
    # What comes down as far again, as noise and waves do, has not left its level.
    stays = float(np.min(smooth[-quarter:])) - lowest > max(wander / 3, 0.25 * (min(first, last) - lowest))
    if rises and stays and not alternating:
        # The log's own lowest value thereabouts: `lowest` is a mean of neighbours, which stands in no row.
        near = slice(max(0, low - _WIDEST // 2), low + _WIDEST // 2 + 1)
        deepest = near.start + int(np.argmin(loss[near]))
        seen = (f"the loss falls to {loss[deepest]:.4g} at {counter} {steps[deepest]:g} and then rises to {last:.4g}, "
                "the median of the last quarter",)  # fmt: skip
        up = low + int(np.argmax(loss[low:] > lowest + max(wander, 0.1 * (last - lowest))))
        grown, meaning = _grown(log, low, up)
        return LogReading(
            "diverged",
            int(steps[min(low + 1, len(steps) - 1)]),
            (*seen, *grown, *_norms(log, low, up)),
            (
                *meaning,
                "a learning rate too long for the curvature from there on",
                "a batch unlike the others, if the rise began at once",
            ),
            more,
            log,
        )
    if alternating:
        swings = [float(np.median(np.abs(np.diff(part)))) for part in (loss[-2 * quarter : -quarter], loss[-quarter:])]
        seen = (
            f"from {counter} {steps[len(loss) // 2]:g} on the loss goes up and down in turn, in {alternating:.0%} of "
            f"the {counter}s",
        )
        if swings[1] > _GROWN * swings[0]:
            seen = (*seen, f"and further each time: by {swings[0]:.3g}, then by {swings[1]:.3g}")
        return LogReading(
            "period two",
            int(steps[len(loss) // 2]),
            seen,
            (
                ("where a row is one step of the method: " if counter != "step" else "")
                + "the step is at the longest that the curvature allows, or beyond: it jumps from one side of a "
                "valley to the other",
                "two kinds of batches that take turns",
            ),
            ("a learning rate half as long: the first goes away, the second stays", *more),
            log,
        )
    jumps = _jumps(loss, noisy)
    if jumps:
        shown = ", ".join(f"{steps[k]:g}" for k in jumps[:5])
        grown, meaning = _grown(log, jumps[0], jumps[0])
        seen = [
            f"the loss jumps at {counter}{'s' if len(jumps) > 1 else ''} {shown}, and comes down again",
            *grown,
            *_norms(log, jumps[0], jumps[0]),
        ]
        gaps = np.diff(steps[jumps])
        every = float(np.median(gaps)) if len(jumps) >= 3 else math.nan
        # One that is missing doubles a gap.
        if len(jumps) >= 3 and np.all(gaps % every == 0) and np.mean(gaps == every) >= _REGULAR:
            like = "" if counter == "epoch" else ", as one batch of an epoch does"
            seen.append(f"they come every {every:g} {counter}s{like}")
        return LogReading(
            "spikes",
            int(steps[jumps[0]]),
            tuple(seen),
            (
                *meaning,
                "a batch unlike the others",
                "an adaptive method whose average of squared gradients lags",
                "a step near its limit",
            ),
            more,
            log,
        )
    fall = first - min(last, lowest)
    # The standard error of a median of so many, from differences, which a slow fall leaves alone.
    error = 1.25 * 1.4826 * float(np.median(np.abs(np.diff(loss)))) / math.sqrt(2)
    flat = noisy and first - last < _ERRORS * error * math.sqrt(1 / max(1, len(loss) // 20) + 1 / quarter)
    if fall <= 0 or flat or before - last < 0.02 * fall:
        seen = (f"in the last half the loss goes from {before:.4g} to {last:.4g} (medians of the last two quarters), "
                f"of {first:.4g} at the start",)  # fmt: skip
        meanings = ["a minimum", "the noise of the batches", "a step that bounces, or has become too short"]
        classes = round(math.exp(last)) if 0 < last < math.log(_CLASSES) else 0
        if flat and classes > 1 and abs(last - math.log(classes)) < _GUESSING * last:
            seen = (*seen, f"that is ln {classes}, what guessing among {classes} classes costs")
            meanings = ["a learning rate far too long or too short", "a gradient that does not reach the layers",
                        "labels that have nothing to do with the inputs"]  # fmt: skip
        if "grad_norm" in log and np.isfinite(log["grad_norm"]).all():
            g = log["grad_norm"].to_numpy()
            ratio = float(np.median(g[-quarter:]) / max(1e-300, np.median(g[:quarter])))
            seen = (*seen, f"the gradient is {ratio:.3g} times what it was at the start")
            meanings = meanings[1:] if ratio > 0.3 else [meanings[0], "a gradient that does not reach the layers"]
        if "lr" in log and log["lr"].iloc[-1] < 1e-2 * log["lr"].max():
            seen = (*seen, f"the learning rate has gone from {log['lr'].max():.3g} to {log['lr'].iloc[-1]:.3g}")
            meanings = ["a learning rate that has become too short", *meanings]
        return LogReading("plateau", int(steps[-2 * quarter]), seen, tuple(meanings), more, log)
    seen = (f"the loss goes from {first:.4g} to {last:.4g}, the median of the last quarter, and still falls",)
    return LogReading("falling", None, seen, (), (), log)


def _overflow(log: pd.DataFrame, steps: np.ndarray, loss: np.ndarray, more: tuple[str, ...]) -> LogReading:
    place = int(np.argmax(~np.isfinite(loss)))
    before = loss[:place]
    counter = log.attrs.get("counter", "step")
    seen = [f"the loss is not finite from {counter} {steps[place]:g} on"]
    if len(before) >= 3 and before[-1] > 3 * max(abs(float(np.min(before))), 1e-300):
        low = len(before) - 1 - int(np.argmin(before[::-1]))
        seen.append(f"before that it rises from {before[low]:.4g} at {counter} {steps[low]:g} to {before[-1]:.4g}")
        meanings = ("a learning rate too long for the curvature", "a gradient that explodes")
        begin = low + 1
    else:
        if len(before):
            seen.append(f"right before it is {before[-1]:.4g}, nothing unusual")
        meanings = (
            "an operation without a finite value there: log 0, a root at 0, a division by 0",
            "a batch that holds what is not finite",
            "half precision that overflows",
        )
        begin = place
    return LogReading(
        "overflow", int(steps[begin]), (*seen, *_norms(log, max(0, place - 1), max(0, place - 1))), meanings, more, log
    )


def _norms(log: pd.DataFrame, place: int, until: int) -> list[str]:
    """How large gradient and update are around some rows, next to what they were before."""
    out = []
    for column, name in (("grad_norm", "gradient"), ("update_norm", "update")):
        if column in log:
            values = log[column].to_numpy(dtype=float)
            usual = float(np.nanmedian(values[: max(1, place)]))
            near = float(np.nanmax(values[max(0, place - 1) : until + 2]))
            out.append(f"there the {name} is {near / usual:.3g} times its usual size" if usual > 0 else "")
    return [one for one in out if one]


def _grown(log: pd.DataFrame, place: int, until: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where the learning rate grows around some rows, that, and what it can mean."""
    if "lr" not in log:
        return (), ()
    rates = log["lr"].to_numpy(dtype=float)
    before, after = rates[max(0, place - 4) : max(1, place - 1)], rates[place : until + 3]
    if not np.isfinite(before).any() or not np.nanmax(after) > _GROWN * np.nanmax(before):
        return (), ()
    seen = f"there the learning rate grows from {np.nanmax(before):.3g} to {np.nanmax(after):.3g}"
    return (seen,), ("a learning rate raised too far, or at once",)


def _smooth(loss: np.ndarray) -> np.ndarray:
    width = max(1, min(_WIDEST, len(loss) // 10))
    return np.convolve(np.pad(loss, (width // 2, width - 1 - width // 2), mode="edge"), np.ones(width) / width, "valid")


def _is_noisy(loss: np.ndarray) -> bool:
    signs = np.sign(np.diff(loss))
    return bool(np.mean(signs[1:] != signs[:-1]) > 0.2)


def _alternating(steps: np.ndarray, loss: np.ndarray) -> float:
    """The share of differences in the last half that change their sign, where that is no noise; else 0."""
    half = loss[len(loss) // 2 :]
    if len(half) < _FEWEST or not np.all(np.diff(steps[len(loss) // 2 :]) == 1):
        return 0.0
    signs = np.sign(np.diff(half))
    share = float(np.mean(signs[1:] * signs[:-1] < 0))
    size = float(np.median(np.abs(np.diff(half))))
    return share if share >= _ALTERNATES and size > 1e-6 * abs(float(np.median(half))) else 0.0


def _jumps(loss: np.ndarray, noisy: bool) -> list[int]:
    again = _again_and_again(loss)
    if again:
        return again
    found: list[int] = []
    at = 0
    while len(loss) - at > _FEWEST:
        one = first_jump(loss[at:], noisy)
        if one is None:
            break
        found.append(at + one)
        level = float(np.median(loss[max(0, found[-1] - 12) : found[-1]]))
        down = np.flatnonzero(loss[found[-1] :] <= 1.5 * level)
        if not len(down):
            break
        at = found[-1] + int(down[0])
    return found


def _again_and_again(loss: np.ndarray) -> list[int]:
    """The rows of single high losses among usual ones, where there are several: those that come every epoch, say.

    `first_jump` looks at what came before, and a high one there hides the next.
    """
    half = _WINDOW // 2
    if len(loss) < 2 * _WINDOW:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(loss, half, mode="reflect"), _WINDOW)
    level = np.median(windows, axis=1)
    spread = np.median(np.abs(windows - level[:, None]), axis=1)
    ahead = loss - level
    high = (ahead > _HIGH * np.abs(level)) & (ahead > 8 * spread)
    single = high & ~np.append(high[1:], False) & ~np.append(False, high[:-1])
    rows = [int(k) for k in np.flatnonzero(single)]
    return rows if len(rows) >= _SEVERAL and single.sum() > 0.8 * high.sum() else []


def _write(path: Any, page: str) -> None:
    path.write_text(page, encoding="utf-8")

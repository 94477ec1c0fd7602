"""A scene as a page has it: what is known, and the programs, as one JavaScript object."""

import html
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradientflow.discretizers import Method

from .knobs import Knob, knobs_of
from .known import Known, known_of
from .mathml import mathml
from .pages import as_literal
from .programs import Programs, energy_programs, method_programs
from .scene import Scene


def written(scene: Scene, progress: Callable[[str], None]) -> str:
    """A scene as a JavaScript object."""
    x = jnp.asarray(scene.x0, float)
    minima = scene.minima()
    methods = []
    for label, method in scene.methods.items():
        progress(" ".join(filter(None, (scene.title, label))))
        known = known_of(method, jnp.asarray(minima[0]) if minima else None)
        knobs = knobs_of(method, known.limit, dict(scene.ranges))
        methods.append(_method(label, method, known, knobs, method_programs(method, x, knobs)))
    facts = {
        "title": scene.title or "Laboratory",
        "question": scene.question,
        "hint": scene.hint,
        "formula": _formula(scene),
        "x0": list(scene.x0),
        "box": scene.window(minima),
        "minima": minima,
        "steps": scene.steps,
        "show": scene.show,
        "clock": scene.clock,
    }
    return _object(facts, energy_programs(scene.energy, x).code, {"methods": f"[{','.join(methods)}]"})


def _formula(scene: Scene) -> str:
    """The energy as a formula; one that has none by its name."""
    told = scene.describe().split(", ", 1)[-1]
    return mathml(told) if told.startswith("E = ") else html.escape(told)


def _method(label: str, method: Method, known: Known, knobs: list[Knob], programs: Programs) -> str:
    facts = {
        "label": label,
        "flow": mathml(method.flow.equation),
        "scheme": mathml(method.discretizer.equation),
        "made": method.name,
        "known": {"limit": known.limit if known.limit is None or np.isfinite(known.limit) else "Infinity",
                  "grade": known.grade, "words": known.words},
        "knobs": [
            {"name": k.name, "symbol": k.symbol, "value": k.value, "low": k.low, "high": k.high, "log": k.log,
             "isStep": k.is_step}
            for k in knobs
        ],
        **programs.facts,
    }  # fmt: skip
    return _object(facts, programs.code, {})


def _object(facts: dict[str, Any], code: dict[str, str], more: dict[str, str]) -> str:
    """A JavaScript object; no text in it ends the script that it stands in."""
    entries = [f"{as_literal(name)}:{as_literal(value)}" for name, value in facts.items()]
    entries += [f"{as_literal(name)}:{text}" for name, text in {**code, **more}.items()]
    return "{" + ",\n".join(entries) + "}"

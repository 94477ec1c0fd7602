"""The page of a recorded run: what it has is what was recorded, and one scrubs it."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.experiments.laboratory.training import allowed

from .in_browser import launched, needs_browser

LR, STEPS = 0.3, 200
STEEP = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])


def loss(p):
    return (1 - p["a"] * p["b"]) ** 2 / 2


START = {"a": jnp.asarray(3.0), "b": jnp.asarray(0.1)}


@pytest.fixture(scope="module")
def recorded():
    method = gf.optimizers.gradient_descent(loss, lr=LR)
    run = method.iterate(START, steps=STEPS)
    return method, run, gf.edge_of_stability(method, run, points=50)


@pytest.fixture(scope="module")
def page(recorded):
    _, run, found = recorded
    ends = float(run.t[-1])
    flow = gf.integrate(gf.GradientFlow(loss), START, ends, ts=jnp.linspace(0.0, ends, 21))
    return gf.lab(
        found,
        run=run,
        spectrum=gf.curvature(loss, run, top=2),
        paths={"gradient flow": (flow, gf.curvature(loss, flow, top=1)), "</script><b>again": flow},
        title="<script>alert(1)</script>",
    )


def test_it_has_what_was_recorded(recorded, page):
    _, run, found = recorded
    facts = page.facts()
    assert facts["steps"] == list(range(STEPS + 1))
    np.testing.assert_allclose(facts["loss"], run.energy, rtol=1e-5, atol=1e-300)
    np.testing.assert_allclose(facts["looked"]["curvature"], found.sharpness, rtol=1e-5)
    np.testing.assert_allclose(facts["looked"]["allowed"], 2 / LR, rtol=1e-5)
    np.testing.assert_allclose(facts["looked"]["share"], found.sharpness * LR / 2, rtol=1e-5)
    # 21 times of a run of 200 steps: every tenth.
    flow = facts["paths"][0]
    np.testing.assert_allclose(flow["steps"], np.arange(0, STEPS + 1, 10), atol=1e-6)
    assert flow["loss"][0] == pytest.approx(float(run.energy[0]), rel=1e-5)
    # The flow keeps a² − b², and at ab = 1 the curvature is a² + b².
    kept = 3.0**2 - 0.1**2
    assert flow["looked"]["curvature"][-1] == pytest.approx(np.sqrt(kept**2 + 4), rel=1e-4)
    assert flow["looked"]["curvature"][-1] > 2 / LR > facts["looked"]["curvature"][-1]
    assert len(facts["more"]) == 1
    assert "beside gradient flow" in repr(page)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (gf.optimizers.momentum(STEEP, lr=0.1, beta=0.5), 2 * 1.5 / 0.1),
        (gf.Method(gf.GradientFlow(STEEP), gf.RungeKutta("heun"), 0.1), 2 / 0.1),
        (gf.optimizers.adam(STEEP, lr=0.01), 38.0),
        (gf.Method(gf.NesterovFlow(STEEP), gf.NesterovScheme(), 0.1), None),
    ],
)
def test_what_a_step_allows_is_one_curvature(method, expected):
    run = method.iterate([1.0, 1.0], steps=20)
    found = gf.edge_of_stability(method, run, points=3)
    if expected is not None:
        np.testing.assert_allclose(allowed(found), expected, rtol=1e-6)
    facts = gf.lab(found).facts()
    assert facts["held"] is (expected == 38.0)
    assert facts["steps"] == found.steps.tolist()


def test_a_run_in_single_precision_that_breaks_is_shown_as_far_as_it_is_one():
    method = gf.optimizers.gradient_descent(loss, lr=3.0)
    run = method.iterate(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), START), steps=30)
    facts = gf.lab(gf.edge_of_stability(method, run), run=run).facts()
    assert facts["loss"][0] == pytest.approx(0.245, rel=1e-5)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts


def test_of_a_long_run_so_many_steps_are_shown(recorded):
    method, _, found = recorded
    long = method.iterate(START, steps=14_000)
    page = gf.lab(found, run=long)
    assert page.facts()["steps"][:3] == [0, 3, 6]
    assert len(page.html().encode()) < 400_000


@pytest.mark.parametrize(
    ("options", "kind", "named"),
    [
        ({"x0": [1.0, 1.0]}, ValueError, "lab: of a run `methods` and `x0` are what they were"),
        ({"run": 3}, TypeError, "lab: `run` must be a Trajectory, got int"),
        ({"spectrum": gf.curvature(STEEP, [1.0, 1.0])}, ValueError, "lab: `spectrum` is that of a point"),
        ({"paths": {"flow": [1, 2]}}, TypeError, "lab: `paths` must have trajectories, .* got 'flow': list"),
        ({"box": 1}, TypeError, "lab: .*'box'"),
        (
            {"run": gf.optimizers.gradient_descent(loss, lr=LR).iterate({"a": 2.0, "b": 0.1}, steps=20)},
            ValueError,
            "lab: `run` has other losses",
        ),
    ],
)
def test_bad_input_is_told_in_a_line(recorded, options, kind, named):
    with pytest.raises(kind, match=f"^{named}"):
        gf.lab(recorded[2], **options)


def test_the_page_is_one_file(page, tmp_path):
    text = page.html()
    assert len(text.encode()) < 100_000
    assert text.count("<script>") == text.count("</script>") == 1
    assert set(re.findall(r"https?://[^\"'\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"/\*(STYLE|DATA|SCRIPT)\*/|VERSION|<!--TYPED|CONNECT", text)
    page.save(tmp_path / "run.html")
    assert (tmp_path / "run.html").read_text() == text
    with pytest.raises(ValueError, match=r"`file` must end in \.html, got '.*run\.txt'"):
        page.save(tmp_path / "run.txt")
    with pytest.raises(ValueError, match=r"`run` goes with a run of training: give edge_of_stability\(method, run\)"):
        gf.lab("x^2 + y^2", run=page.run)
    assert "<script>" not in page._repr_html_()


@needs_browser
def test_one_scrubs_it(page, recorded, tmp_path):
    _, run, found = recorded
    page.save(tmp_path / "run.html")
    address, said = f"file://{tmp_path}/run.html", []
    with launched() as browser:
        shown = browser.new_page(viewport={"width": 1280, "height": 900})
        for event in ("console", "pageerror", "dialog"):
            shown.on(event, lambda thing: said.append(str(thing)))
        shown.goto(f"{address}#step=12")
        still = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        shown.evaluate(still)
        seen = shown.evaluate("lab.seen()")
        assert seen["step"] == 12
        assert seen["loss"] == pytest.approx(float(run.energy[12]), rel=1e-5)
        looked = int(found.steps[found.steps <= 12][-1])
        assert seen["looked"] == looked
        assert shown.inner_text("#headline").startswith("Step 12: the greatest curvature")
        shown.locator("#at").press("ArrowRight")
        assert shown.evaluate("lab.seen().step") == 13
        box = shown.locator("#curvature").bounding_box()
        before = shown.evaluate("document.querySelector('#curvature').toDataURL()")
        shown.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 50)
        shown.mouse.down()
        shown.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 50)
        shown.mouse.up()
        shown.evaluate(still)
        assert 140 < shown.evaluate("lab.seen().step") < 175
        assert shown.evaluate("document.querySelector('#curvature').toDataURL()") != before
        assert "</script><b>again" in shown.inner_text("#legend")
        assert shown.title() == "<script>alert(1)</script>"
        for hash in ("#step=-1", "#step=<b>", "#step=999999999", "#step=1e3"):
            shown.goto(address + hash)
            shown.reload()
            assert 0 <= shown.evaluate("lab.seen().step") <= STEPS
        phone = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        phone.goto(address)
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert said == []

"""The laboratory's page in a real browser: its numbers are Python's, a hand moves it, nothing hostile does anything."""

import os
import re
import shutil
import tempfile
import xml.etree.ElementTree

import jax
import numpy as np
import pytest

import gradientflow as gf
from gradientflow.experiments.laboratory import writing
from gradientflow.experiments.laboratory.known import Known
from gradientflow.experiments.laboratory.lab import Lab
from gradientflow.experiments.laboratory.scene import shipped_scenes

from .in_browser import launched, needs_browser
from .thorough import part

pytestmark = needs_browser

BOWL = gf.Quadratic([[1.0, 0.0], [0.0, 9.0]])
WELLS = gf.landscapes.double_well()
# Of each: how it is made on an energy, and the ranges from which settings are drawn.
SCHEMES = {
    "descent": (lambda E: gf.optimizers.gradient_descent(E, lr=0.1), {"lr": (0.01, 0.2)}),
    "momentum": (lambda E: gf.optimizers.momentum(E, lr=0.05, beta=0.5), {"lr": (0.01, 0.1), "beta": (0.1, 0.9)}),
    "nesterov": (lambda E: gf.optimizers.nesterov(E, lr=0.05, beta=0.5), {"lr": (0.01, 0.1), "beta": (0.1, 0.8)}),
    "adam": (lambda E: gf.optimizers.adam(E, lr=0.05), {"lr": (0.01, 0.1), "b1": (0.5, 0.9)}),
    "rmsprop": (lambda E: gf.optimizers.rmsprop(E, lr=0.01), {"lr": (0.001, 0.01)}),
    "proximal": (lambda E: gf.optimizers.proximal_point(E, lr=0.1), {"lr": (0.05, 0.5)}),
    "rk4": (lambda E: gf.Method(gf.GradientFlow(E), gf.RungeKutta("rk4"), 0.1), {"step": (0.01, 0.25)}),
    "Chebyshev": (lambda E: gf.Method(gf.GradientFlow(E), gf.RungeKuttaChebyshev(4), 0.1), {"step": (0.05, 0.9)}),
    "midpoint": (lambda E: gf.Method(gf.GradientFlow(E), gf.ImplicitMidpoint(), 0.1), {"step": (0.05, 0.5)}),
    "multistep": (lambda E: gf.Method(gf.GradientFlow(E), gf.AdamsBashforth(2), 0.05), {"step": (0.01, 0.09)}),
    "accelerated": (lambda E: gf.Method(gf.NesterovFlow(E), gf.NesterovScheme(), 0.1), {"step": (0.05, 0.3)}),
    "langevin": (lambda E: gf.Method(gf.Langevin(E, 0.1), gf.EulerMaruyama(), 0.05),
                 {"step": (0.01, 0.15), "temperature": (0.01, 0.5)}),
}  # fmt: skip
SETTINGS, STEPS = 4, 60
PAGES = {"bowl": (BOWL, tuple(part(SCHEMES))), "wells": (WELLS, ("momentum", "adam", "langevin"))}
# Of each figure, whether something is drawn on it.
COLOURS = """[...document.querySelectorAll('figure canvas')].map(canvas => new Set(
    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size > 8)"""


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def written():
    """Pages by name; what `stability` knows is asked for where a test reads it, and nowhere else."""
    folder = tempfile.mkdtemp()
    asked = pytest.MonkeyPatch()
    files = {"first": Lab(shipped_scenes()[:1]).html()}
    asked.setattr(writing, "known_of", lambda *_: Known(None, "unknown", "not asked here"))
    files["scenes"] = gf.lab().html()
    hostile = {"<img src=x onerror=alert(1)>": SCHEMES["descent"][0](BOWL)}
    files["hostile"] = gf.lab(BOWL, hostile, [3.0, 1.0], title="<script>alert(1)</script>", question="</h1><b>?").html()
    for name, (E, labels) in PAGES.items():
        methods = {label: SCHEMES[label][0](E) for label in labels}
        files[name] = gf.lab(E, methods, [0.7, 0.9], box=((-2, 2), (-2, 2))).html()
    asked.undo()
    for name, text in files.items():
        with open(os.path.join(folder, f"{name}.html"), "w", encoding="utf-8") as stream:
            stream.write(text)
    yield lambda name: f"file://{folder}/{name}.html"
    shutil.rmtree(folder)


@pytest.fixture
def visit(browser, written):
    """Opens a page; at the end nothing may have been said on the console, and nothing asked of a network."""
    said, contexts = [], []

    def opened(name, hash="", **options):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda asked: said.append(asked.url) if asked.url.startswith(("http", "ws")) else None)
        page.goto(written(name) + hash)
        settled(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


def settled(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def picture(page, selector="#landscape"):
    return page.evaluate(f"document.querySelector('{selector}').toDataURL()")


def _settings(label):
    rng = np.random.default_rng(len(label))
    ranges = SCHEMES[label][1]
    return [{name: float(rng.uniform(*bounds)) for name, bounds in ranges.items()} for _ in range(SETTINGS)]


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_numbers_are_pythons(visit, name):
    page, (E, labels) = visit(name), PAGES[name]
    for label in labels:
        for i, parameters in enumerate(_settings(label)):
            noisy = label == "langevin"
            asked = parameters | ({"seed": i} if noisy else {})
            found = page.evaluate("([l, p, x, n]) => lab.iterates(l, p, x, n)", [label, asked, [0.7, 0.9], STEPS])
            method = SCHEMES[label][0](E)
            if noisy:
                flow = gf.Langevin(E, parameters["temperature"])
                method = gf.Method(flow, method.discretizer, parameters["step"])
            else:
                method = method.with_parameters(**parameters)
            run = method.iterate([0.7, 0.9], steps=STEPS, **({"key": jax.random.key(i)} if noisy else {}))
            np.testing.assert_allclose(found, run.x, rtol=1e-9, atol=1e-9, err_msg=f"{label} {parameters}")


def test_a_drag_moves_the_start_and_the_picture(visit):
    page = visit("first")
    before, at = picture(page), page.locator("#handle").bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(at["x"] - 150, at["y"] + 120, steps=5)
    page.mouse.up()
    settled(page)
    assert picture(page) != before
    moved = page.locator("#handle").bounding_box()
    assert abs(moved["x"] + moved["width"] / 2 - at["x"] + 150) < 2


def test_beyond_the_limit_it_says_so(visit):
    page = visit("first")
    words, slider = page.locator(".words").first, page.get_by_role("slider", name="gradient_descent: lr")
    assert "stable up to η = 0.2222; you are at 0.205 proved" in words.inner_text()
    assert "arrives at the minimum" in words.inner_text()
    assert "So it zigzags" in page.inner_text("#headline")
    slider.press("End")
    settled(page)
    assert page.locator(".beyond").inner_text().startswith("stable up to η = 0.2222; you are at 0.26")
    assert "moves away" in words.inner_text() or "runs away" in words.inner_text()
    assert re.match(r"Too long: each step jumps across the valley and lands 1\.34 times", page.inner_text("#headline"))
    slider.press("Home")
    settled(page)
    assert "stays on its side" in page.inner_text("#headline")


def test_the_keyboard_suffices(visit):
    page = visit("first")
    reached = []
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.type"))
    for needed in (
        "handle",
        "play",
        "shown",
        "closer",
        "checkbox",
        "range",
        "clock",
        "own",
        "modified",
        "reset",
        "png",
    ):
        assert needed in reached
    page.locator("#handle").focus()
    page.wait_for_timeout(300)
    before = page.evaluate("location.hash")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    page.wait_for_function("before => location.hash !== before", arg=before)


def test_a_link_restores_the_state(visit):
    page = visit("first")
    page.get_by_role("slider", name="gradient_descent: lr").press("Home")
    page.locator("#handle").press("Shift+ArrowLeft")
    page.locator("#clock").select_option("steps")
    page.wait_for_function("() => location.hash.includes('clock=steps')")
    hash, shown = page.evaluate("location.hash"), picture(page)
    assert picture(visit("first", hash)) == shown


HOSTILE = [
    "#scene=9&x=NaN,Infinity", "#x=1e999,2&m0=<script>", "#shown=-1&seed=1.5&clock=__proto__&hidden=99,__proto__",
    "#%E0%A4%A&x=1,2,3", "#m0=,", "#" + "x=1,1&" * 2000,
]  # fmt: skip


def test_a_hostile_link_does_nothing(visit, written):
    """One tab follows them all, which is half of what a new browser takes for each; every link loads the page anew."""
    page = visit("first")
    for hash in HOSTILE:
        page.goto("about:blank")
        page.goto(written("first") + hash)
        settled(page)
        assert page.inner_text("#headline").startswith("Each step jumps across"), hash
        assert page.locator("nav button").count() == 1, hash


def test_hostile_names_are_words(visit):
    page = visit("hostile")
    assert "<img src=x onerror=alert(1)>" in page.inner_text(".card h2")
    assert page.locator("img").count() == 0
    assert page.inner_text("h1") == "</h1><b>?"


def test_all_scenes_are_shown_and_speak(visit):
    page = visit("scenes")
    count = page.locator("nav button").count()
    assert count >= 5
    for i in range(count):
        page.locator("nav button").nth(i).click()
        page.wait_for_timeout(250)
        assert page.inner_text("#headline")
        assert page.evaluate(COLOURS).count(True) == page.locator("figure canvas").count() > 2
    # The greatest curvature after 300 steps of 0.16, of which 2/0.16 is allowed, and where the flow ends: y² − x².
    assert page.inner_text("#headline") == (
        "It ends where the curvature is 12.3. Its step allows 12.5; the flow ends at 14.6."
    )
    page.locator("nav button").nth(3).click()
    settled(page)
    assert "period three" in page.inner_text("#headline")


def test_own_and_modified_flows_are_drawn(visit):
    page = visit("scenes", "#scene=1")
    bare = picture(page)
    page.locator("#own").check()
    settled(page)
    with_own = picture(page)
    page.locator("#modified").check()
    settled(page)
    assert len({bare, with_own, picture(page)}) == 3


def test_play_walks_through_the_steps(visit):
    page = visit("first", reduced_motion="reduce")
    page.locator("#play").click()
    page.wait_for_timeout(100)
    assert page.inner_text("#play") == "Stop"
    assert int(page.inner_text("#shown-value")) < 5
    page.locator("#play").click()
    assert page.inner_text("#play") == "Play"


def test_dark_and_light_differ_and_a_phone_needs_no_scrolling_aside(visit):
    light = visit("first")
    dark = visit("first", color_scheme="dark", viewport={"width": 390, "height": 844}, has_touch=True)
    colour = "getComputedStyle(document.body).backgroundColor"
    assert light.evaluate(colour) == "rgb(255, 255, 255)"
    assert dark.evaluate(colour) != light.evaluate(colour)
    assert dark.evaluate("document.documentElement.scrollWidth <= innerWidth")
    before = picture(dark)
    box = dark.locator("#landscape").bounding_box()
    dark.touchscreen.tap(box["x"] + 60, box["y"] + 60)
    settled(dark)
    assert picture(dark) != before


def test_the_picture_is_exported(visit):
    page = visit("first")
    svg = xml.etree.ElementTree.fromstring(page.evaluate("lab.svg()"))
    paths = [path.get("d") for path in svg.iter("{http://www.w3.org/2000/svg}path")]
    assert len(paths) > 15
    # The positions of 40 steps and their start, two arcs a dot.
    assert max(path.count("a4.5") for path in paths) == 2 * 41
    with page.expect_download() as download:
        page.locator("#png").click()
    with open(download.value.path(), "rb") as stream:
        assert stream.read(8) == b"\x89PNG\r\n\x1a\n"

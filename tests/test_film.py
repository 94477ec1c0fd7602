"""Films: at each frame everything is where it is at that time, in every kind of file."""

import io
import json
import re
import sys

import jax
import numpy as np
import pytest
import scipy.integrate
from PIL import Image

import gradientflow as gf
from gradientflow.analysis.plots.cuts import principal_plane
from gradientflow.analysis.plots.ensembles import density_on_the_line
from gradientflow.analysis.plots.moving import Growing, Moving, pictures

from .in_browser import launched, needs_browser
from .thorough import of_any_type, thorough

BOWL = gf.Quadratic(np.diag([1.0, 9.0]))
FLOW = gf.GradientFlow(BOWL)
FRAMES = 30


@pytest.fixture(scope="module")
def film():
    found = gf.compare(FLOW, {"gd": (gf.ForwardEuler(), 0.2), "lost": (gf.ForwardEuler(), 0.3)}, [3.0, 1.0], 3.0,
                       orders=False)  # fmt: skip
    return gf.film(found, frames=FRAMES, seconds=1.5)


def _growing(film):
    return {track.line.get_label(): track for track in film.scene.tracks[:4] if isinstance(track, Growing)}


def test_at_each_frame_paths_and_runs_are_where_they_are_at_that_time(film):
    tracks, clock = _growing(film), np.linspace(0, 3, FRAMES)
    assert film.scene.said[0] == "t = 0.0"
    assert film.scene.said[-1] == "t = 3.0"
    for k in (0, 7, FRAMES - 1):
        for track in tracks.values():
            track.show(k)
        t = clock[k]
        at = {label: np.ravel(track.head.get_data()) for label, track in tracks.items()}
        np.testing.assert_allclose(at["flow"], [3 * np.exp(-t), np.exp(-9 * t)], atol=2e-4)
        for label, h in (("gd", 0.2), ("lost", 0.3)):
            steps = int((t + 1e-9) / h)
            np.testing.assert_allclose(at[label], [3 * (1 - h) ** steps, (1 - 9 * h) ** steps], rtol=1e-9)
            assert len(tracks[label].line.get_xdata()) == steps + 1


def test_a_gif_is_what_was_drawn_frame_by_frame(film, tmp_path):
    film.save(file := tmp_path / "film.gif")
    (drawn,) = pictures(film.scene.figure, film.scene.tracks, [FRAMES - 1])
    with Image.open(io.BytesIO(file.read_bytes())) as image:
        lasted = 0
        for k in range(image.n_frames):
            image.seek(k)
            lasted += image.info["duration"]
        shown = np.asarray(image.convert("RGB"), dtype=int)
    assert lasted == 1500
    assert shown.shape == drawn.shape
    # 255 colours for all: nearly everywhere the right one, and white is white.
    assert np.mean(np.abs(shown - drawn).max(axis=-1) > 24) < 0.005
    assert (shown[(drawn == 255).all(axis=-1)] == 255).all()


def test_the_page_knows_the_same_places_and_needs_nothing_else(film):
    page = film.html()
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    tracks = json.loads(re.search(r"const TRACKS = (.*);", page)[1])
    said = json.loads(re.search(r"const SAID = (.*);", page)[1])
    assert said == list(film.scene.said)
    flow = next(track for track in film.scene.tracks if isinstance(track, Growing))
    told = next(track for track in tracks if track["kind"] == "growing")
    height = film.scene.figure.bbox.height
    for k in (0, FRAMES - 1):
        flow.show(k)
        x, y = flow.head.axes.transData.transform(np.ravel(flow.head.get_data()))
        np.testing.assert_allclose(told["points"][2 * told["counts"][k] - 2 :][:2], [x, height - y], atol=0.06)
    assert "srcdoc" in film._repr_html_()


def test_of_many_unknowns_it_tells_the_share_of_the_plane():
    E = gf.Quadratic(np.diag([1.0, 3.0, 9.0]))
    run = gf.optimizers.gradient_descent(E, lr=0.1).iterate([3.0, 2.0, 1.0], 60)
    made = gf.film(run, flow=E, frames=3)
    _, axes, share = principal_plane("film", run)
    assert made.scene.figure.axes[0].get_title(loc="right") == f"the plane of the first: {share:.0%} of its way"
    track = next(track for track in made.scene.tracks if isinstance(track, Growing))
    np.testing.assert_allclose(track.points, np.asarray(run.x - run.x[-1]) @ np.asarray(axes).T, atol=1e-12)


def test_of_one_unknown_it_is_the_graph():
    E = gf.energy(lambda x: x**4)
    made = gf.film({"flow": gf.integrate(gf.GradientFlow(E), 1.0, 1.0)}, flow=E, frames=5)
    track = next(track for track in made.scene.tracks if isinstance(track, Growing))
    np.testing.assert_allclose(track.points[:, 1], track.points[:, 0] ** 4, atol=1e-4)


def test_every_lane_of_a_batch_has_its_way():
    starts = np.array([[1.0, 1.0], [2.0, -1.0], [0.5, 0.0]])
    runs = jax.vmap(lambda x: gf.optimizers.gradient_descent(BOWL, lr=0.1).iterate(x, 5))(starts)
    ends = [t.points[-1] for t in gf.film(runs, frames=3).scene.tracks if isinstance(t, Growing)][:3]
    np.testing.assert_allclose(ends, np.asarray(runs.x)[:, -1])


def test_a_run_is_drawn_as_long_as_it_is_finite_and_leaves_a_frame_that_shows_the_landscape():
    run = gf.iterate(FLOW, gf.ForwardEuler(), [3.0, 1.0], step=0.9, steps=400)
    points = np.asarray(run.x, dtype=float)
    made = gf.film(run, flow=BOWL, frames=5)
    top, bottom = made.scene.figure.axes
    track = next(track for track in made.scene.tracks if isinstance(track, Growing))
    kept = len(track.points)
    assert np.abs(points[:kept]).max() < 1e120
    assert not np.abs(points[kept]).max() < 1e120
    # In double precision it is finite for longer than it can be drawn.
    how = "drawn" if np.isfinite(points[kept]).all() else "finite"
    assert made.scene.name == f"run, {how} until t = {run.t[kept - 1]:.4g}"
    assert np.abs([top.get_xlim(), top.get_ylim()]).max() < 10
    drawn = bottom.lines[0].get_ydata()
    assert bottom.get_ylim()[1] > np.nanmax(drawn)
    made.html()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_one_unknown_too(dtype):
    E = gf.energy(lambda x: x**4 + x**2)
    run = gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), jax.numpy.asarray(1.7, dtype), step=0.5, steps=30)
    made = gf.film(run, flow=E, frames=3)
    assert re.search(r"(finite|drawn) until t = \d", made.scene.name)
    # One step goes to 1.7 − (4·1.7³ + 3.4)/2.
    low, high = made.scene.figure.axes[0].get_xlim()
    assert -30 < low < -9.8 < 1.7 < high < 15
    made.html()


def test_the_frame_holds_all_starts_and_the_legend_names_all_lanes():
    starts = [[0.1, 0.1], [2.0, 2.0], [-2.0, -2.0]]
    run = jax.jit(lambda x: gf.optimizers.gradient_descent(BOWL, lr=0.1).iterate(x, 5))
    runs = {str(x): run(np.array(x)) for x in starts}
    batch = jax.vmap(lambda x: gf.optimizers.gradient_descent(BOWL, lr=0.1).iterate(x, 5))(np.array(starts))
    for made, name in (
        (gf.film(runs, flow=BOWL, frames=2), ", ".join(runs)),
        (gf.film(batch, frames=2), "run 1, run 2, run 3"),
    ):
        ax = made.scene.figure.axes[0]
        for low, high in (ax.get_xlim(), ax.get_ylim()):
            assert -3 < low < -2 < 2 < high < 3
        assert made.scene.name == name


def test_the_lower_axis_goes_as_far_as_the_clock():
    """The first step is to the minimum, whose energy a logarithmic axis doesn't show."""
    E = gf.Quadratic([[1.0]])
    made = gf.film(gf.iterate(gf.GradientFlow(E), gf.ForwardEuler(), [1.0], step=1.0, steps=5), flow=E, frames=3)
    low, high = made.scene.figure.axes[1].get_xlim()
    assert low < 0 < 5 < high
    assert made.scene.said[-1] == "t = 5"


def test_a_step_grows_and_its_eigenvalues_move():
    found = gf.stability(FLOW, gf.ForwardEuler())
    made = gf.film(found, frames=11)
    dots = [track for track in made.scene.tracks if isinstance(track, Moving)][-1]
    h = np.array([float(said.split(" = ")[1]) for said in made.scene.said])
    np.testing.assert_allclose(np.sort(dots.places[..., 0]), np.stack([1 - 9 * h, 1 - h], axis=1), atol=0.05)
    assert h[0] < found.limit < h[-1]


def test_particles_are_where_they_were_drawn_and_counted():
    flow = gf.Langevin(gf.Quadratic([[2.0]]), 0.5)
    chains = gf.sample(flow, gf.EulerMaruyama(), [1.0], step=0.05, draws=20, chains=500, key=jax.random.key(1))
    dots, bars = [t for t in gf.film(chains, flow=flow, frames=20).scene.tracks if isinstance(t, Moving)]
    np.testing.assert_allclose(dots.places[-1, :, 0], np.asarray(chains.x)[:400, -1, 0])
    np.testing.assert_allclose(dots.places[-1, :, 1], dots.places[-1, :, 0] ** 2, atol=1e-3)
    inside = np.mean((np.asarray(chains.x)[:, -1, 0] >= bars.places[0, 0, 0])
                     & (np.asarray(chains.x)[:, -1, 0] <= bars.places[0, -1, 0]))  # fmt: skip
    assert np.trapezoid(bars.places[-1, :, 1], bars.places[-1, :, 0]) == pytest.approx(inside, rel=1e-9)


def test_a_density_is_normalized_over_the_line_and_seen_where_its_mass_is():
    E = gf.energy(lambda x: (x**2 - 1) ** 2)
    xs, density = density_on_the_line(E, 0.3, (0.3, 1.6), ())
    mass = scipy.integrate.quad(lambda x: np.exp(-((x**2 - 1) ** 2) / 0.3), -6, 6, points=(-1, 1))[0]
    np.testing.assert_allclose(density, np.exp(-((xs**2 - 1) ** 2) / 0.3) / mass, rtol=2e-5)
    assert np.trapezoid(density, xs) == pytest.approx(0.999, abs=1e-4)
    assert xs[0] == pytest.approx(-xs[-1], abs=1e-3)


@of_any_type
@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (
            lambda run: gf.film(run, "film.avi"),
            ValueError,
            "film: `file` must end in .gif, .mp4, .html, got 'film.avi'",
        ),
        (lambda run: gf.film(run, frames=1), ValueError, "film: `frames` must be at least 2"),
        (lambda run: gf.film(BOWL), TypeError, "film: the first argument must be a comparison, a path or run"),
        (lambda run: gf.film({}), TypeError, "film: the first argument must be"),
        (lambda run: gf.film(run, flow=3), TypeError, "film: `flow` must be a flow, or an energy, got 3"),
        (
            lambda run: gf.film(run, flow=gf.Quadratic([[1.0]])),
            ValueError,
            "film: `flow` must take the positions that are filmed, of shape (2,), and this",
        ),
        (lambda run: gf.film(run, 123), TypeError, "film: `file` must be a path, 'film.gif' say, got 123"),
        (
            lambda run: gf.film(run, "nodir/a.gif"),
            FileNotFoundError,
            "film: `file` must lie in a folder that is there, got 'nodir/a.gif'; make 'nodir' first",
        ),
    ],
)
def test_what_can_not_be_filmed_is_one_line(make, kind, words):
    run = gf.optimizers.gradient_descent(BOWL, lr=0.1).iterate([1.0, 1.0], 3)
    with pytest.raises(kind, match=re.escape(words)) as raised:
        make(run)
    assert "\n" not in str(raised.value)


def test_an_mp4_without_its_library_says_what_to_install(film, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install gradientflow\[film\], or name a \.gif or an \.html"):
        film.save(tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:os.fork")
def test_an_mp4_has_all_frames(film, tmp_path):
    reader = pytest.importorskip("imageio_ffmpeg")
    film.save(tmp_path / "film.mp4")
    frames = reader.read_frames(str(tmp_path / "film.mp4"))
    size = next(frames)["size"]
    assert size == (720, 760)
    assert sum(1 for _ in frames) == FRAMES


@thorough
@needs_browser
def test_keys_move_the_film(film, tmp_path):
    film.save(tmp_path / "film.html")
    with launched() as browser:
        page = browser.new_page(reduced_motion="reduce")
        failed = []
        page.on("pageerror", lambda error: failed.append(error))
        page.goto((tmp_path / "film.html").as_uri())
        assert page.locator("#clock").text_content() == film.scene.said[0]
        for key, frame in (("End", FRAMES - 1), ("ArrowLeft", FRAMES - 2), ("Home", 0), ("ArrowRight", 1)):
            page.keyboard.press(key)
            assert page.locator("#clock").text_content() == film.scene.said[frame]
        page.keyboard.press(" ")
        # The slider is at its end half a frame before the film.
        page.wait_for_function("document.getElementById('play').textContent === 'Play'")
        assert page.locator("#at").input_value() == str(FRAMES - 1)
        assert failed == []


def test_the_minimums_star_is_gold_though_runs_end_upon_it(tmp_path):
    E = gf.Quadratic([[1.0, 0.0], [0.0, 25.0]])
    methods = {"descent": (gf.ForwardEuler(), 0.07), "prox": (gf.BackwardEuler(), 0.07),
               "momentum": gf.optimizers.momentum(E, lr=0.02, beta=0.7),
               "nesterov": gf.optimizers.nesterov(E, lr=0.02, beta=0.7)}  # fmt: skip
    found = gf.compare(gf.GradientFlow(E), methods, [3.0, 1.0], 4.0, orders=False)
    gf.film(found, tmp_path / "film.gif", frames=20)
    with Image.open(tmp_path / "film.gif") as film:
        first = np.asarray(film.convert("RGB"), dtype=int)
    gold = np.array([255, 215, 0])
    assert (np.abs(first - gold).max(axis=-1) <= 3).sum() > 30

"""A scene as a file: GIF by Pillow, MP4 by imageio-ffmpeg, a page that draws what moves by itself."""

import base64
import io
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from PIL import Image
from scipy.spatial import KDTree

from ..results.page import render_page
from ..sweeps.progress import progress
from .moving import pictures, set_up
from .scene import Scene

# Dots an inch of frames, and of the picture that lies below what a page draws.
_DPI, _SHARP = 100, 200
# A GIF has so many colours, of which so many are the most frequent ones, so many those that the others miss most, and
# one that is none; its clock counts in hundredths of seconds [ms], and browsers slow down what is faster than two.
_COLOURS, _EXACT, _MISSED, _TICK, _FASTEST = 255, 64, 32, 10, 20


def as_gif(scene: Scene, seconds: float) -> bytes:
    """The film as a GIF that begins again at its end; all frames have the colours of the first and the last one."""
    count = len(scene.said)
    # Runs end upon a minimum's star, and hide its colour.
    ends = np.concatenate(list(pictures(scene.figure, scene.tracks, [0, count - 1])))
    shown = _changes(_palette(ends), _drawn(scene))
    buffer = io.BytesIO()
    duration = max(_FASTEST, round(1000 * seconds / count / _TICK) * _TICK)
    next(shown).save(
        buffer, "GIF", save_all=True, append_images=shown, duration=duration, loop=0, transparency=_COLOURS, disposal=1,
        optimize=False,
    )  # fmt: skip
    return buffer.getvalue()


def _palette(picture: np.ndarray) -> np.ndarray:
    """A picture's colours, shape (255, 3): those of most dots, means of others, and what these miss, a star say."""
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    exact = colours[np.argsort(-counts, kind="stable")[:_EXACT]]
    rest = _COLOURS - _MISSED - len(exact)
    means = Image.fromarray(picture).quantize(rest, dither=Image.Dither.NONE).getpalette() or []
    found = np.concatenate([exact, np.array(means, dtype=np.uint8).reshape(-1, 3)[:rest]])
    missed = KDTree(found).query(colours)[0]
    for _ in range(_MISSED):
        most = colours[np.argmax(missed**2 * counts)]
        found = np.concatenate([found, most[None]])
        missed = np.minimum(missed, np.linalg.norm(colours.astype(float) - most, axis=1))
    return np.pad(found, ((0, _COLOURS - len(found)), (0, 0)))


def _changes(palette: np.ndarray, frames: Iterator[np.ndarray]) -> Iterator[Image.Image]:
    """Each frame in the nearest of the palette's colours, transparent where it is as the one before."""
    # Of each colour which one is nearest, once it was seen: Pillow's own search takes only their leading bits.
    nearest, before, tree = np.full(2**24, -1, dtype=np.int16), None, KDTree(palette)
    for frame in frames:
        red, green, blue = np.moveaxis(frame.astype(np.int32), -1, 0)
        packed = red << 16 | green << 8 | blue
        found = nearest[packed]
        if (found < 0).any():
            new = np.unique(packed[found < 0])
            nearest[new] = tree.query(np.stack([new >> 16, new >> 8 & 255, new & 255], axis=-1))[1]
            found = nearest[packed]
        indices = found.astype(np.uint8)
        changed = indices if before is None else np.where(indices == before, _COLOURS, indices).astype(np.uint8)
        image = Image.fromarray(changed, mode="P")
        image.putpalette(palette.ravel().tolist())
        before = indices
        yield image


def as_mp4(scene: Scene, seconds: float) -> bytes:
    """The film as H.264, which every browser plays.

    Raises:
        ModuleNotFoundError: without imageio-ffmpeg.
    """
    try:
        import imageio_ffmpeg  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "film: an .mp4 is written by imageio-ffmpeg, which is not installed; pip install gradientflow[film], or "
            "name a .gif or an .html"
        ) from None
    width, height = (round(side) for side in scene.figure.bbox.size)
    # The codec takes even sides only.
    width, height = width - width % 2, height - height % 2
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # JAX warns of every fork; this one's child does nothing but run the encoder.
        warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
        file = pathlib.Path(folder, "film.mp4")
        writer = imageio_ffmpeg.write_frames(
            str(file), (width, height), fps=len(scene.said) / seconds, macro_block_size=2, quality=8,
            ffmpeg_log_level="error",
        )  # fmt: skip
        writer.send(None)
        for frame in _drawn(scene):
            writer.send(np.ascontiguousarray(frame[:height, :width]))
        writer.close()
        return file.read_bytes()


def as_page(scene: Scene, seconds: float) -> str:
    """The film as one page: a picture of all that stands, over which what moves is drawn, frame by frame."""
    set_up(scene.figure, scene.tracks, visible=False)
    buffer = io.BytesIO()
    scene.figure.savefig(buffer, format="png", dpi=_SHARP)
    width, height = scene.figure.bbox.size
    return render_page(
        "film.html.jinja", name=scene.name, picture=base64.b64encode(buffer.getvalue()).decode(),
        width=round(width), height=round(height), frames=len(scene.said), seconds=seconds, said=list(scene.said),
        tracks=[track.told(height) for track in scene.tracks], points_to_pixels=_DPI / 72,
    )  # fmt: skip


def _as_html(scene: Scene, seconds: float) -> bytes:
    return as_page(scene, seconds).encode()


def _drawn(scene: Scene) -> Iterator[np.ndarray]:
    """The frames, with a line on the terminal that tells how many are done."""
    count = len(scene.said)
    with progress("film", count) as done:
        for frame in pictures(scene.figure, scene.tracks, range(count)):
            yield frame
            done(1)


WRITERS: Mapping[str, Callable[[Scene, float], bytes]] = {".gif": as_gif, ".mp4": as_mp4, ".html": _as_html}

"""Drawing: one style, vector graphics that follow the page's colours, data as CSV."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikelearn.errors import optional_import, require
from spikelearn.files import atomic_path

__all__ = [
    "COLOURS",
    "RASTER_LIMIT",
    "WIDTH",
    "Chart",
    "check_figure",
    "csv_text",
    "draw_events",
    "draw_graded",
    "draw_outputs",
    "mask_windows",
    "matplotlib_module",
    "render",
    "render_png",
    "write_figure",
]

# Okabe and Ito's palette on white. The page gives every one of these a name and, on a
# dark background, a lighter shade: `themed` puts the names in.
COLOURS = {
    "ink": "#1c2024",
    "soft": "#5f6770",
    "grid": "#dfe3e7",
    "window": "#fbeecb",
    "blue": "#0072b2",
    "vermilion": "#d55e00",
    "green": "#009e73",
    "purple": "#b8568f",
}
WIDTH = 9.2  # inches
RASTER_LIMIT = 20_000  # marks; more are embedded as pixels
WIDE_STEPS = 64  # up to here a spike is a box as wide as its time step

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": COLOURS["soft"],
    "axes.facecolor": "none",
    "axes.grid": False,
    "axes.labelcolor": COLOURS["ink"],
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "path.simplify": True,
    "svg.fonttype": "none",
    "text.color": COLOURS["ink"],
    "text.usetex": False,
    "xtick.color": COLOURS["soft"],
    "xtick.labelcolor": COLOURS["ink"],
    "xtick.labelsize": 8,
    "ytick.color": COLOURS["soft"],
    "ytick.labelcolor": COLOURS["ink"],
    "ytick.labelsize": 8,
}


@dataclass(frozen=True)
class Chart:
    """One figure: a file of its own, and a part of the page.

    `svg` is complete and stands on white; `csv` holds the data it shows; `alt` replaces
    it for those who do not see it; `caption` says what is to be seen.
    """

    name: str
    svg: str
    csv: str
    alt: str
    caption: str

    def inline(self) -> str:
        """Return the drawing for an HTML page that defines the colours' names."""
        start = self.svg.index("<g>")  # after the white ground
        view = re.search(r'viewBox="[^"]*"', self.svg)
        label = html.escape(self.alt)
        body = self.svg[start:].replace("xlink:href", "href")
        for name, colour in COLOURS.items():
            body = body.replace(colour, f"var(--{name})")
        box = view.group() if view else ""
        return f'<svg {box} role="img" aria-label="{label}">\n{body}'


def matplotlib_module(name: str) -> Any:
    """Import a module of Matplotlib, or say how to install it."""
    return optional_import(name, "plot", "the report")


def render(
    name: str, size: tuple[float, float], alt: str, draw: Callable[[Any], None]
) -> str:
    """Draw on a new figure of `size` inches and return it as an SVG document.

    Raises
    ------
    MissingDependency
        Without Matplotlib.
    """
    absent = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    options = {"format": "svg", "dpi": 220, "transparent": True, "metadata": absent}
    return _tidy(_drawn(name, size, draw, **options).decode(), alt)


def render_png(
    name: str, size: tuple[float, float], draw: Callable[[Any], None]
) -> bytes:
    """Draw on a new figure of `size` inches and return it as a PNG file.

    Raises
    ------
    MissingDependency
        Without Matplotlib.
    """
    return _drawn(name, size, draw, format="png", dpi=160, facecolor="#ffffff")


def _drawn(
    name: str, size: tuple[float, float], draw: Callable[[Any], None], **options: Any
) -> bytes:
    matplotlib = matplotlib_module("matplotlib")
    figures = matplotlib_module("matplotlib.figure")
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = figures.Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(buffer, **options)
    return buffer.getvalue()


def _tidy(svg: str, alt: str) -> str:
    """Drop what a page does not need; give the drawing a title and a white ground."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' d="[^"]*"', _rounded, svg)
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.S)
    svg = svg.replace("<path ", '<path stroke-linejoin="round" ')
    end = svg.index(">") + 1
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    title = f"<title>{html.escape(alt)}</title>"
    return f"{svg[:end]}\n{title}\n{ground}\n{svg[end:].lstrip()}"


def _rounded(match: re.Match[str]) -> str:
    """Round the coordinates of a path to a hundredth of a point."""
    text = re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m.group()):.2f}", match.group())
    return re.sub(r"\s+", " ", text)


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a CSV file as text; NumPy scalars become plain numbers."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(
        [value.item() if isinstance(value, np.generic) else value for value in row]
        for row in rows
    )
    return buffer.getvalue()


def draw_events(
    axes: Any,
    spikes: np.ndarray,
    dt: float,
    colour: str = COLOURS["blue"],
    alpha: float = 1.0,
    tall: float = 0.01,
) -> None:
    """Draw a mark for every non-zero entry of (T, n): time to the right, unit up.

    A mark is as high as its row, at least the fraction `tall` of the axes.
    """
    paths = matplotlib_module("matplotlib.path")
    patches = matplotlib_module("matplotlib.patches")
    n_steps, n_units = spikes.shape
    step, unit = np.nonzero(spikes)
    x, y = step * dt, unit.astype(np.float64)
    half = max(0.42, n_units * tall / 2)
    if n_steps <= WIDE_STEPS:
        wide = 0.42 * dt
        corners = [(-wide, -half), (wide, -half), (wide, half), (-wide, half)]
        corners.append(corners[0])
        codes = [1, 2, 2, 2, 79]
        look: dict[str, Any] = {"facecolor": colour, "edgecolor": "none"}
    else:
        corners = [(0.0, -half), (0.0, half)]
        codes = [1, 2]
        look = {"facecolor": "none", "edgecolor": colour}
        look["linewidth"] = max(0.9, 400 / n_steps)
    vertices = np.stack([x, y], axis=1)[:, None] + np.array(corners)
    path = paths.Path(vertices.reshape(-1, 2), codes * len(step))
    many = len(step) > RASTER_LIMIT
    patch = patches.PathPatch(path, alpha=alpha, rasterized=many, **look)
    if len(step):
        axes.add_patch(patch)
    axes.set_xlim(-0.5 * dt, (n_steps - 0.5) * dt)
    axes.set_ylim(-0.5, n_units - 0.5)


def draw_graded(axes: Any, x: np.ndarray, dt: float, colour: str) -> None:
    """Draw the entries of (T, n) as boxes, stronger for larger values, in 15 shades.

    Those below 0 are vermilion.
    """
    size = np.abs(x).max()
    shade = np.rint(15.0 * np.abs(x) / (size if size > 0 else 1.0))
    draw_events(axes, np.zeros_like(shade), dt)
    for level in np.unique(shade[shade > 0]):
        for some, look in ((x > 0, colour), (x < 0, COLOURS["vermilion"])):
            chosen = some & (shade == level)
            draw_events(axes, chosen, dt, look, alpha=float(level / 15.0))


def draw_outputs(axes: Any, output: np.ndarray, dt: float) -> None:
    """Draw the entries of (T, n) as pixels, denser for larger values.

    Blue above 0, vermilion below; what is 0 shows the ground.
    """
    colours = matplotlib_module("matplotlib.colors")
    n_steps, n_units = output.shape
    size = float(np.abs(output).max())
    pixels = np.empty((n_units, n_steps, 4))
    pixels[..., :3] = colours.to_rgb(COLOURS["blue"])
    pixels[output.T < 0, :3] = colours.to_rgb(COLOURS["vermilion"])
    pixels[..., 3] = np.abs(output.T) / (size if size > 0 else 1.0)
    extent = (-0.5 * dt, (n_steps - 0.5) * dt, -0.5, n_units - 0.5)
    look = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
    axes.imshow(pixels, extent=extent, **look)


def mask_windows(mask: np.ndarray, dt: float) -> list[tuple[float, float]]:
    """Return begin and end, ms, of the stretches where a mask is not zero."""
    on = np.concatenate([[False], mask != 0, [False]])
    edges = np.flatnonzero(on[1:] != on[:-1]) - 0.5
    return [(float(a * dt), float(b * dt)) for a, b in edges.reshape(-1, 2)]


def check_figure(path: Path) -> None:
    """Check that `write_figure` can draw to a path, before a long computation.

    Raises
    ------
    InvalidValue
        If it does not end in .svg or .png.
    MissingDependency
        Without Matplotlib.
    """
    suffix = path.suffix.lower()
    rule = "must end in .svg or .png"
    require(suffix in (".svg", ".png"), f"figure {str(path)!r}", rule, suffix or "none")
    matplotlib_module("matplotlib")


def write_figure(
    path: Path,
    name: str,
    size: tuple[float, float],
    alt: str,
    draw: Callable[[Any], None],
) -> None:
    """Draw into a file that ends in .svg or .png; arguments as in `render`.

    Raises
    ------
    InvalidValue, MissingDependency
        As `check_figure`.
    FileAccessError
        If the file cannot be written.
    """
    check_figure(path)
    if path.suffix.lower() == ".png":
        content = render_png(name, size, draw)
    else:
        content = render(name, size, alt, draw).encode()
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)

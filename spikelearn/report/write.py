"""Write the report of a run into its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikelearn.errors import FileFormatError, require
from spikelearn.files import read_json, write_text
from spikelearn.report import details, figures, population, summary
from spikelearn.report.charts import Chart
from spikelearn.report.html import figure, page, section, tag
from spikelearn.report.machines import machines_chart
from spikelearn.report.material import Activity, HardwareComparison, History
from spikelearn.runs import Run

__all__ = ["write_report"]


def write_report(
    run: Run,
    *,
    hardware: HardwareComparison | None = None,
    notice: str = "",
    sample: int = 0,
    threads: int = 1,
) -> Path:
    """Write `report.html` and `figures/*.svg` with their data as `*.csv`.

    The page is one file that needs no network. It replaces an older one only when all
    of it has been made.

    Parameters
    ----------
    run
        A run, finished or not.
    hardware
        The network as integers; without it the page says how to get it.
    notice
        What the page says about an export that it does not show, or not all of.
    sample
        Number of the test sample that is shown.
    threads
        Threads over samples.

    Returns
    -------
    Path of the page

    Raises
    ------
    MissingDependency
        Without Matplotlib.
    InvalidValue
        If the test split has no such sample, or the hardware part does not fit the run.
    FileFormatError
        If a file of the run is corrupt.
    FileAccessError
        If the folder cannot be written.
    """
    if hardware is not None:
        _check_fit(run, hardware)
    result = run.folder.result()
    environment = _json_object(run.folder.path / "environment.json")
    train, validation = (History.read(run, s) for s in ("train", "validation"))
    activity = Activity.measure(run, sample, threads)
    dt = run.network.dt
    charts = {
        chart.name: chart
        for chart in (
            figures.learning_chart(run, train, validation),
            figures.sample_chart(activity.sample, dt),
            population.rate_chart(activity),
            population.weight_chart(run, activity),
            population.eigenvalue_chart(run, activity),
        )
    }
    if hardware is not None:
        charts["machines"] = machines_chart(hardware, activity.sample.mask, dt)
    text = page(
        f"{run.task.name}: {run.folder.path.name}",
        summary.header(run, result, validation, hardware, activity.sample),
        summary.splits_section(run, result, hardware),
        section("Learning", figure(charts["learning"])),
        section("One test sample", figure(charts["sample"])),
        section("Activity", figure(charts["rates"])),
        section(
            "Connectivity", figure(charts["weights"]), figure(charts["eigenvalues"])
        ),
        details.hardware_section(run, hardware, charts.get("machines"), notice),
        details.origin_section(run, environment or {}, hardware),
        tag(
            "footer",
            "Every figure is also in the folder figures/, as SVG with its data as CSV.",
        ),
    )
    path = run.folder.path / "report.html"
    _write_figures(path.parent / "figures", charts)
    write_text(path, text)
    return path


def _check_fit(run: Run, hardware: HardwareComparison) -> None:
    n_steps, network = run.task.n_steps, run.network
    for name, width in (
        ("x", network.n_in),
        ("spikes_float", network.n_rec),
        ("y_float", network.n_out),
    ):
        shape = getattr(hardware, name).shape
        rule = f"must have shape ({n_steps}, {width}), that of the run"
        where = f"HardwareComparison.{name}"
        require(shape == (n_steps, width), where, rule, shape)


def _write_figures(folder: Path, charts: dict[str, Chart]) -> None:
    for name, chart in charts.items():
        write_text(folder / f"{name}.svg", chart.svg)
        write_text(folder / f"{name}.csv", chart.csv)


def _json_object(path: Path) -> dict[str, Any] | None:
    """Read a JSON object, or None where there is no such file."""
    if not path.exists():
        return None
    content = read_json(path)
    if not isinstance(content, dict):
        raise FileFormatError(
            f"{str(path)!r} must hold a JSON object; got {content!r:.60}."
        )
    return content

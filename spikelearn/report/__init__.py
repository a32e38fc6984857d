"""The report of a run: one HTML page, figures as SVG, their data as CSV."""

from spikelearn.report.material import HardwareComparison
from spikelearn.report.write import write_report

__all__ = ["HardwareComparison", "write_report"]

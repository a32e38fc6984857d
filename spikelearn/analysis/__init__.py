"""Measures of what networks do and of how rules learn."""

from spikelearn.analysis.activity import (
    active_fraction,
    activity_dimensions,
    firing_rates,
    interspike_cv,
)
from spikelearn.analysis.alignment import Alignment, align

__all__ = [
    "Alignment",
    "active_fraction",
    "activity_dimensions",
    "align",
    "firing_rates",
    "interspike_cv",
]

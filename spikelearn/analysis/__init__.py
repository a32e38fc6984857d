"""Measures of what networks do."""

from spikelearn.analysis.activity import (
    active_fraction,
    eigenvalues,
    firing_rates,
    interspike_cv,
    spectral_radius,
)

__all__ = [
    "active_fraction",
    "eigenvalues",
    "firing_rates",
    "interspike_cv",
    "spectral_radius",
]

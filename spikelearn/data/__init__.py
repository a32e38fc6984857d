"""Real data sets that need no network, their splits, and input encoders."""

from spikelearn.data.digits import load_digits
from spikelearn.data.encoders import graded, grey_levels, poisson_spikes, thermometer
from spikelearn.data.images import LabelledImages, Split, stratified_split
from spikelearn.data.mnist5k import load_mnist5k

__all__ = [
    "LabelledImages",
    "Split",
    "graded",
    "grey_levels",
    "load_digits",
    "load_mnist5k",
    "poisson_spikes",
    "stratified_split",
    "thermometer",
]

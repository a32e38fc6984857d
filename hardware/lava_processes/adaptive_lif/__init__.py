"""An adaptive, refractory LIF neuron in integers for Lava."""

from hardware.lava_processes import _lava

_lava.prepare()

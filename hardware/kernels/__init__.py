"""Numba kernels in integer arithmetic. The only place of hardware with Numba.

`neuron.run_samples` is the whole run; the other files hold its steps:
`arithmetic` (registers), `synapses`, and one file for each family of neurons.
"""

from pathlib import Path

from spikelearn.kernels import kernel_decorator

__all__ = ["inlined", "kernel"]

kernel = kernel_decorator(Path(__file__).parent)

# A step with a name of its own, which is a part of the kernel that calls it.
inlined = kernel_decorator(Path(__file__).parent, cached=False, forceinline=True)

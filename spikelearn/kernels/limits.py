"""What the machine can do: arithmetic with nothing in its way."""

from __future__ import annotations

from spikelearn.kernels import kernel
from spikelearn.kernels.vector import bare, load, store, width

GROUP = 4


@kernel
def multiply_add(n, factor, term, x):
    """Set x := factor x + term, n times; all that time x stays in registers.

    The more vectors, the fewer wait for each other; but 32 registers of 64 bytes hold 8
    of them, and 16 registers of 32 bytes only 4.

    Mutates
    -------
    x : (4 or 8 vectors,) float array
    """
    x = bare(x)
    second = GROUP * width(x)
    one = load(x, 0, GROUP)
    if x.size > second:
        two = load(x, second, GROUP)
        for _ in range(n):
            one = factor * one + term
            two = factor * two + term
        store(x, second, two)
    else:
        for _ in range(n):
            one = factor * one + term
    store(x, 0, one)

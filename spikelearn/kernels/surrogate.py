"""Pseudo-derivatives of the spike function, chosen by an integer code.

With the distance to threshold d = v - A, height h and width w (Bellec et al. 2020,
doi:10.1038/s41467-020-17236-y, for the triangle; the parametrisation by height and
width is that of NEST's e-prop models):

    TRIANGULAR    h max(0, 1 - |d| / w)
    FAST_SIGMOID  h / (1 + |d| / w)^2
    EXPONENTIAL   h exp(-|d| / w)
    ARCTAN        h / (1 + (d / w)^2)

All are 0 at d = -inf, which is how the forward kernels mark refractory neurons.
"""

from __future__ import annotations

import math

from spikelearn.kernels import kernel

TRIANGULAR = 0
FAST_SIGMOID = 1
EXPONENTIAL = 2
ARCTAN = 3

SURROGATES = {
    "triangular": TRIANGULAR,
    "fast-sigmoid": FAST_SIGMOID,
    "exponential": EXPONENTIAL,
    "arctan": ARCTAN,
}


@kernel
def pseudo_derivatives(code, distance, height, inverse_width, psi):
    """Evaluate the pseudo-derivative of one time step for all neurons.

    Parameters
    ----------
    code : int
        One of the codes of this module.
    distance, height, inverse_width : (N,) float array
        v - A, h and 1 / w.

    Mutates
    -------
    psi : (N,) float array
    """
    one = psi.dtype.type(1)
    zero = psi.dtype.type(0)
    if code == TRIANGULAR:
        for j in range(psi.size):
            psi[j] = height[j] * max(zero, one - abs(distance[j]) * inverse_width[j])
    elif code == FAST_SIGMOID:
        for j in range(psi.size):
            s = one + abs(distance[j]) * inverse_width[j]
            psi[j] = height[j] / (s * s)
    elif code == EXPONENTIAL:
        for j in range(psi.size):
            psi[j] = height[j] * math.exp(-abs(distance[j]) * inverse_width[j])
    else:
        for j in range(psi.size):
            s = distance[j] * inverse_width[j]
            psi[j] = height[j] / (one + s * s)

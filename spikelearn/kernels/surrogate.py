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

from spikelearn.kernels import inlined, kernel
from spikelearn.kernels.vector import exp, select

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


@inlined
def pseudo_derivative(code, distance, height, inverse_width):
    """Return the pseudo-derivative of neurons: numbers, or vectors of them.

    Parameters
    ----------
    code : int
        One of the codes of this module.
    distance, height, inverse_width
        v - A, h and 1 / w.
    """
    x = distance * inverse_width
    if code == TRIANGULAR:
        rest = 1 - abs(x)
        psi = height * select(rest > 0, rest, 0)
    elif code == FAST_SIGMOID:
        s = 1 + abs(x)
        psi = height / (s * s)
    elif code == EXPONENTIAL:
        psi = height * exp(-1 * abs(x))
    else:
        psi = height / (1 + x * x)
    return psi


@kernel
def pseudo_derivatives(code, distance, height, inverse_width, psi):
    """Evaluate the pseudo-derivative of one time step for all neurons.

    Mutates
    -------
    psi : (N,) float array
    """
    for j in range(psi.size):
        psi[j] = pseudo_derivative(code, distance[j], height[j], inverse_width[j])

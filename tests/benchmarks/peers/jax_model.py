"""The network of the workloads in JAX; sequences are (T, B, n), weights (pre, post)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax


class Model:
    """Constants of a workload and its equations; loops are unrolled `unroll` times."""

    unroll = 1

    def __init__(self, workload):
        for name in ("alpha", "rho", "beta", "kappa", "v_th", "gamma"):
            setattr(self, name, float(workload[name]))
        self.off = 1 - jnp.eye(workload["n_rec"])  # no self-connections
        self.spike = make_spike(self.gamma, self.v_th)

    def neuron(self, v, a, sent, own, current):
        """Return v, a, the distance to threshold and the spikes of one step.

        `sent` and `own` are the spikes of the step before, as the reset and the
        adaptation see them.
        """
        v = self.alpha * v + current - self.v_th * sent
        distance = v - self.v_th
        if self.beta:
            a = self.rho * a + own
            distance = distance - self.beta * a
        return v, a, distance, self.spike(distance)

    def run(self, weights, x):
        """Return spikes, distances to threshold and readout."""
        current = x @ weights["w_in"]
        zero = jnp.zeros_like(current[0])

        def body(carry, now):
            v, a, z = carry
            v, a, distance, z = self.neuron(v, a, z, z, now + z @ weights["w_rec"])
            return (v, a, z), (z, distance)

        _, (z, distance) = lax.scan(body, (zero,) * 3, current, unroll=self.unroll)
        return z, distance, self.filter(z @ weights["w_out"], self.kappa)

    def filter(self, x, decay, reverse=False):
        """Return the exponential filter of a sequence."""

        def body(y, now):
            y = decay * y + now
            return y, y

        options = {"reverse": reverse, "unroll": self.unroll}
        return lax.scan(body, jnp.zeros_like(x[0]), x, **options)[1]

    def psi(self, distance):
        """Return the pseudo-derivative."""
        shape = jnp.maximum(0.0, 1 - jnp.abs(distance) / self.v_th)
        return shape * (self.gamma / self.v_th)


def make_spike(gamma, v_th):
    """Return the step of the distance to threshold with the triangle as derivative."""

    @jax.custom_vjp
    def spike(distance):
        return (distance > 0).astype(distance.dtype)

    def forward(distance):
        return spike(distance), distance

    def backward(distance, gradient):
        shape = jnp.maximum(0.0, 1 - jnp.abs(distance) / v_th)
        return (gradient * shape * (gamma / v_th),)

    spike.defvjp(forward, backward)
    return spike


def before(z):
    """Return the spikes one step later."""
    return jnp.concatenate([jnp.zeros_like(z[:1]), z[:-1]])

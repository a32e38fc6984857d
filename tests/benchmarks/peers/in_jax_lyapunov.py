"""Peers in JAX for Lyapunov exponents: forward pass, vectors and QR in one loop.

The whole job is one compiled function. The Jacobian meets the vectors as a product of
k rows with W, by hand or through automatic differentiation, never as a matrix; they are
orthonormalised by LAPACK, by Gram-Schmidt or by a Cholesky factor. The reference is
what the others avoid: a dense Jacobian from automatic differentiation, in float64.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from protocol import serve

jax.config.update("jax_enable_x64", True)

UNROLLS = (1, 4)


def householder(q):
    """Return the orthonormal rows of LAPACK and the logarithms of their lengths."""
    q, r = jnp.linalg.qr(q.T)
    return q.T, jnp.log(jnp.abs(jnp.diagonal(r)))


def gram_schmidt(q):
    """Do the same one row after another, each taken off all that follow."""

    def body(b, now):
        q, lengths = now
        length = jnp.sqrt(q[b] @ q[b])
        row = q[b] / length
        along = jnp.where(jnp.arange(len(q)) > b, q @ row, 0)
        return (q - along[:, None] * row).at[b].set(row), lengths.at[b].set(length)

    q, lengths = lax.fori_loop(0, len(q), body, (q, jnp.zeros_like(q[:, 0])))
    return q, jnp.log(lengths)


def cholesky(q):
    """Do the same with the factor of the matrix of scalar products."""
    lower = jnp.linalg.cholesky(q @ q.T)
    one = jnp.eye(len(q), dtype=q.dtype)
    inverse = jax.scipy.linalg.solve_triangular(lower, one, lower=True)
    return inverse @ q, jnp.log(jnp.diagonal(lower))


class Lyapunov:
    """The exponents of one sample after another."""

    computes = "lyapunov"
    same_model = True
    orthonormalise = staticmethod(householder)

    @staticmethod
    def can(workload):
        return workload["kind"] == "lyapunov"

    def __init__(self, workload, arrays):
        self.workload = workload
        dtype = self.dtype()
        names = ("w_in", "w_rec", "vectors")
        self.fixed = [jnp.asarray(arrays[name], dtype) for name in names]
        self.x = [jnp.asarray(x[:, 0], dtype) for x in arrays["x"]]
        self.job = self._fastest()

    def dtype(self):
        return self.workload["dtype"]

    def _fastest(self):
        """Return the job, compiled with the best number of unrolled time steps."""
        found = []
        for unroll in UNROLLS:
            self.unroll = unroll
            job = jax.jit(lambda *a, n=unroll: self.exponents(*a, n))
            job = job.lower(*self.fixed, self.x[0]).compile()
            times = []
            for _ in range(3):
                start = time.perf_counter()
                jax.block_until_ready(job(*self.fixed, self.x[0]))
                times.append(time.perf_counter() - start)
            found.append((min(times), unroll, job))
        return min(found, key=lambda entry: entry[0])[2]

    def sent(self, v):
        """Return what neurons send, by its derivative: f' or the pseudo-derivative."""
        w = self.workload
        if w["cell"] == "ReLU":
            return jax.nn.relu(v)
        return make_spike(w["gamma"], w["v_th"])(v - w["v_th"])

    def gate(self, v):
        w = self.workload
        if w["cell"] == "ReLU":
            return (v > 0).astype(v.dtype)
        shape = jnp.maximum(0, 1 - jnp.abs(v - w["v_th"]) / w["v_th"])
        return shape * (w["gamma"] / w["v_th"])

    def advance(self, w_rec, v, current):
        """Do a step; the reset is not differentiated."""
        w, sent = self.workload, self.sent(v)
        v = w["alpha"] * v + w["zeta"] * (current + w_rec @ sent)
        if w["cell"] == "ReLU":
            return v
        return v - w["v_th"] * lax.stop_gradient(sent)

    def change(self, w_rec, v, q):
        """Return what a step with state v makes of the rows of q."""
        w = self.workload
        return w["alpha"] * q + w["zeta"] * ((self.gate(v) * q) @ w_rec.T)

    def exponents(self, w_in, w_rec, vectors, x, unroll):
        """Return the exponents, largest first, and the number of spikes."""
        w = self.workload
        current = x @ w_in.T

        def body(carry, now):
            v, q = carry
            v = self.advance(w_rec, v, now)
            q, growth = self.orthonormalise(self.change(w_rec, v, q))
            return (v, q), (growth, v)

        start = (jnp.zeros_like(current[0]), vectors)
        _, (growth, v) = lax.scan(body, start, current, unroll=unroll)
        spikes = 0 if w["cell"] == "ReLU" else (v > w["v_th"]).sum()
        return -jnp.sort(-growth[w["transient"] :].mean(0)), spikes

    def step(self, k):
        jax.block_until_ready(self.job(*self.fixed, self.x[k]))
        return None

    def check(self):
        found, spikes = self.job(*self.fixed, self.x[0])
        return {"exponents": np.asarray(found, np.float64)}, int(spikes)


class GramSchmidt(Lyapunov):
    orthonormalise = staticmethod(gram_schmidt)


class Cholesky(Lyapunov):
    orthonormalise = staticmethod(cholesky)


class Automatic(Cholesky):
    """The product with the Jacobian by automatic differentiation."""

    def change(self, w_rec, v, q):
        _, linear = jax.linearize(lambda v: self.advance(w_rec, v, 0), v)
        return jax.vmap(linear)(q)


class Together(Cholesky):
    """What neurons send and what vectors send in one product."""

    def exponents(self, w_in, w_rec, vectors, x, unroll):
        w = self.workload
        current = x @ w_in.T
        now = jnp.concatenate([current[1:], jnp.zeros_like(current[:1])])
        reset = 0 if w["cell"] == "ReLU" else w["v_th"]

        def body(carry, later):
            v, q = carry
            sent, v_now = self.sent(v), v
            rows = jnp.concatenate([self.gate(v) * q, sent[None]])
            arriving = w["zeta"] * (rows @ w_rec.T)
            v = w["alpha"] * v + w["zeta"] * later + arriving[-1] - reset * sent
            q, growth = self.orthonormalise(w["alpha"] * q + arriving[:-1])
            return (v, q), (growth, v_now)

        start = (w["zeta"] * current[0], vectors)
        _, (growth, v) = lax.scan(body, start, now, unroll=unroll)
        spikes = 0 if w["cell"] == "ReLU" else (v > w["v_th"]).sum()
        return -jnp.sort(-growth[w["transient"] :].mean(0)), spikes


class Reference(Lyapunov):
    """Dense Jacobians in float64."""

    computes = "reference"

    def dtype(self):
        return "float64"

    def change(self, w_rec, v, q):
        return q @ jax.jacfwd(lambda v: self.advance(w_rec, v, 0.0))(v).T


def make_spike(gamma, v_th):
    """Return the step of the distance to threshold with the triangle as derivative."""

    @jax.custom_jvp
    def spike(distance):
        return (distance > 0).astype(distance.dtype)

    @spike.defjvp
    def derivative(values, changes):
        (distance,), (change,) = values, changes
        shape = jnp.maximum(0, 1 - jnp.abs(distance) / v_th)
        return spike(distance), shape * (gamma / v_th) * change

    return spike


if __name__ == "__main__":
    serve(
        {
            "reference": Reference,
            "jax qr": Lyapunov,
            "jax gram-schmidt": GramSchmidt,
            "jax cholesky": Cholesky,
            "jax cholesky, jvp": Automatic,
            "jax cholesky, one product": Together,
        }
    )

"""Peers in JAX: compiled loops over time with e-prop and BPTT, braintrace, Spyx.

A whole training step (forward pass, gradient, Adam of optax) is one compiled function.
Loops are unrolled 1, 4 and 8 times, and what is fastest is kept.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax_model import Model, before
from protocol import serve

WEIGHTS = ("w_in", "w_rec", "w_out")
UNROLLS = (1, 4, 8)
LONG = 0.5  # seconds of a step for which unrolling is not tried


class JaxPeer(Model):
    """What the peers here have in common; weights are (pre, post) inside.

    A subclass gives `gradients(weights, x, target) -> (dict, spikes)`, to be compiled.
    """

    computes = "e-prop"
    same_model = True

    def __init__(self, workload, arrays):
        super().__init__(workload)
        f32 = jnp.float32
        self.weights = {name: jnp.asarray(arrays[name].T, f32) for name in WEIGHTS}
        self.x = [jnp.asarray(x, f32) for x in arrays["x"]]
        self.target = [jnp.asarray(y, f32) for y in arrays["target"]]
        self.check_x = jnp.asarray(arrays["check_x"], f32)
        self.check_target = jnp.asarray(arrays["check_target"], f32)
        self.optimizer = optax.adam(workload["lr"])
        self.state = self.optimizer.init(self.weights)
        self.update = self._fastest()

    def _arguments(self, k):
        return self.weights, self.state, self.x[k], self.target[k]

    def _compiled(self):
        def update(weights, state, x, target):
            gradients, spikes = self.gradients(weights, x, target)
            changes, state = self.optimizer.update(gradients, state)
            return optax.apply_updates(weights, changes), state, spikes

        compiled = jax.jit(update, donate_argnums=(0, 1))
        return compiled.lower(*self._arguments(0)).compile()

    def _once(self, update):
        """Run a step of batch 0 on copies of the weights; return seconds."""
        arguments = jax.tree.map(jnp.copy, self._arguments(0))
        jax.block_until_ready(arguments)
        start = time.perf_counter()
        jax.block_until_ready(update(*arguments))
        return time.perf_counter() - start

    def _fastest(self):
        """Return the step, compiled with the best number of unrolled time steps."""
        found = []
        for unroll in UNROLLS:
            self.unroll = unroll
            update = self._compiled()
            times = []
            for _ in range(3):
                times.append(self._once(update))
                if times[-1] > LONG:
                    break
            found.append((min(times), unroll, update))
            if min(times) > LONG:  # the loop itself costs nothing here
                break
        _, self.unroll, update = min(found, key=lambda entry: entry[0])
        return update

    def step(self, k):
        self.weights, self.state, _ = self.update(*self._arguments(k))
        jax.block_until_ready(self.weights)
        return None

    def check(self):
        compiled = jax.jit(self.gradients)
        found, spikes = compiled(self.weights, self.check_x, self.check_target)
        return {k: np.asarray(g, np.float64).T for k, g in found.items()}, int(spikes)


class GemmEProp(JaxPeer):
    """e-prop by hand: filters forward and backward in time, gradients as products."""

    @staticmethod
    def can(workload):
        return workload["kind"] == "e-prop"

    def gradients(self, weights, x, target):
        z, distance, y = self.run(weights, x)
        error = self.filter(y - target, self.kappa, reverse=True)
        signal, psi = error @ weights["w_out"].T, self.psi(distance)

        def body(back, now):
            p = now[0] * (now[1] + back)
            return self.rho * back - self.beta * p, p

        p = psi * signal
        if self.beta:
            options = {"reverse": True, "unroll": self.unroll}
            _, p = lax.scan(body, jnp.zeros_like(z[0]), (psi, signal), **options)
        n_rec = z.shape[2]
        p = p.reshape(-1, n_rec)
        xbar = self.filter(x, self.alpha).reshape(-1, x.shape[2])
        zbar = self.filter(before(z), self.alpha).reshape(-1, n_rec)
        return {
            "w_in": xbar.T @ p,
            "w_rec": (zbar.T @ p) * self.off,
            "w_out": z.reshape(-1, n_rec).T @ error.reshape(-1, error.shape[2]),
        }, z.sum()


class TracesEProp(JaxPeer):
    """e-prop with a trace at every synapse, in one loop forward in time."""

    @staticmethod
    def can(workload):
        synapses = workload["n_rec"] * (workload["n_in"] + workload["n_rec"])
        size = synapses * workload["n_samples"] * workload["n_steps"]
        return workload["kind"] == "e-prop" and size < 4e9

    def gradients(self, weights, x, target):
        _, n_samples, n_in = x.shape
        n_rec = weights["w_rec"].shape[0]
        current = x @ weights["w_in"]
        zero = jnp.zeros_like(current[0])
        traces = jnp.zeros((n_samples, n_in + n_rec, n_rec), x.dtype)

        def body(carry, now):
            v, a, z, y, xbar, zbar, adapt, ebar, total, out, spikes = carry
            x_now, current_now, target_now = now
            arriving = jnp.concatenate([x_now, z], axis=1)
            total_current = current_now + z @ weights["w_rec"]
            v, a, distance, z = self.neuron(v, a, z, z, total_current)
            y = self.kappa * y + z @ weights["w_out"]
            xbar = self.alpha * xbar + arriving
            zbar = self.kappa * zbar + z
            psi, error = self.psi(distance), y - target_now
            trace = psi[:, None, :] * (xbar[:, :, None] - self.beta * adapt)
            adapt = self.rho * adapt + trace
            ebar = self.kappa * ebar + trace
            total = total + (error @ weights["w_out"].T)[:, None, :] * ebar
            out = out + zbar.T @ error
            spikes = spikes + z.sum()
            return (v, a, z, y, xbar, zbar, adapt, ebar, total, out, spikes), None

        start = (zero, zero, zero, jnp.zeros_like(target[0]))
        start += (jnp.zeros((n_samples, n_in + n_rec), x.dtype), zero)
        start += (traces, traces, traces, jnp.zeros_like(weights["w_out"]), 0.0)
        end, _ = lax.scan(body, start, (x, current, target), unroll=self.unroll)
        total = end[8].sum(0)
        return {
            "w_in": total[:n_in],
            "w_rec": total[n_in:] * self.off,
            "w_out": end[9],
        }, end[10]


class AutogradEProp(JaxPeer):
    """e-prop by automatic differentiation with the spikes of others stopped."""

    @staticmethod
    def can(workload):
        return workload["kind"] == "e-prop"

    def seen(self, z):
        """Return the spikes as other neurons see them."""
        return lax.stop_gradient(z)

    def gradients(self, weights, x, target):
        def loss(weights):
            current = x @ weights["w_in"]
            w_rec = weights["w_rec"] * self.off
            zero = jnp.zeros_like(current[0])

            def body(carry, now):
                v, a, z = carry
                total = now + self.seen(z) @ w_rec
                v, a, _, z = self.neuron(v, a, lax.stop_gradient(z), z, total)
                return (v, a, z), z

            _, z = lax.scan(body, (zero,) * 3, current, unroll=self.unroll)
            y = self.filter(z @ weights["w_out"], self.kappa)
            return 0.5 * ((y - target) ** 2).sum(), z.sum()

        return jax.grad(loss, has_aux=True)(weights)


class AutogradBPTT(AutogradEProp):
    """Backpropagation through time; the reset is stopped."""

    computes = "bptt"

    @staticmethod
    def can(workload):
        return workload["kind"] in ("e-prop", "bptt")

    def seen(self, z):
        return z


class Inference(JaxPeer):
    """The forward pass."""

    computes = "inference"

    @staticmethod
    def can(workload):
        return workload["kind"] == "inference"

    def _arguments(self, k):
        return self.weights, self.x[k]

    def _compiled(self):
        def forward(weights, x):
            z, _, y = self.run(weights, x)
            return z, y

        return jax.jit(forward).lower(*self._arguments(0)).compile()

    def step(self, k):
        jax.block_until_ready(self.update(*self._arguments(k)))
        return None

    def check(self):
        z, _ = self.update(self.weights, self.check_x)
        return None, int(z.sum())


if __name__ == "__main__":
    from jax_libraries import LIBRARIES

    serve(
        {
            "jax e-prop gemm": GemmEProp,
            "jax e-prop autograd": AutogradEProp,
            "jax e-prop traces": TracesEProp,
            "jax bptt": AutogradBPTT,
            "jax inference": Inference,
            **LIBRARIES,
        }
    )

"""Spyx and braintrace as their users write a recurrent network with a leaky readout."""

from __future__ import annotations

import brainstate
import braintools
import braintrace
import jax
import jax.numpy as jnp
import numpy as np
import optax
import spyx
from flax import nnx
from jax_model import make_spike

F32 = jnp.float32


class SpyxNetwork(nnx.Module):
    """`RLIF`, or `ALIF` with recurrent weights around it, and a leaky readout."""

    def __init__(self, workload, arrays):
        gamma, v_th = workload["gamma"], workload["v_th"]
        activation = spyx.axn.custom(
            lambda d: jnp.maximum(0.0, 1 - jnp.abs(d) / v_th) * (gamma / v_th)
        )
        self.lif = workload["cell"] == "LIF"
        options = {"threshold": v_th, "activation": activation, "rngs": nnx.Rngs(0)}
        shape = (workload["n_rec"],)
        self.kappa = workload["kappa"]
        w_rec = jnp.asarray(arrays["w_rec"].T, F32)
        self.w_in = nnx.Param(jnp.asarray(arrays["w_in"].T, F32))
        self.w_out = nnx.Param(jnp.asarray(arrays["w_out"].T, F32))
        if self.lif:
            self.cell = spyx.nn.RLIF(shape, beta=workload["alpha"], **options)
            self.cell.recurrent_w = nnx.Param(w_rec)
        else:
            decays = {"beta": workload["alpha"], "gamma": workload["rho"]}
            self.cell = spyx.nn.ALIF(shape, **decays, **options)
            self.w_rec = nnx.Param(w_rec)

    def initial_state(self, batch_size):
        n_rec, n_out = self.w_out[...].shape
        shapes = [(batch_size, n_rec), (batch_size, n_out)]
        z, y = (jnp.zeros(shape, F32) for shape in shapes)
        return self.cell.initial_state(batch_size), z, y

    def __call__(self, current, state):
        cell, z, y = state
        if not self.lif:
            current = current + z @ self.w_rec[...]
        z, cell = self.cell(current, cell)
        y = self.kappa * y + z @ self.w_out[...]
        return (z, y), (cell, z, y)


class Spyx:
    """Forward pass, or forward pass, backpropagation through time and Adam.

    Spyx tests the voltage of the step before, so that its spikes come a step later than
    those of the workload; a step without input is added to see the last ones.
    """

    computes = "bptt with reset"
    same_model = True
    cell = "LIF"

    @classmethod
    def can(cls, workload):
        known = workload["kind"] in ("inference", "e-prop", "bptt")
        return known and workload["cell"] == cls.cell

    def __init__(self, workload, arrays):
        self.learns = workload["kind"] != "inference"
        model = SpyxNetwork(workload, arrays)
        fixed = nnx.PathContains("beta"), nnx.PathContains("gamma")
        graph, rest, params = nnx.split(model, nnx.Any(*fixed), ...)
        pad = ((0, 1), (0, 0), (0, 0))
        self.x = [jnp.asarray(np.pad(x, pad), F32) for x in arrays["x"]]
        self.target = [jnp.asarray(y, F32) for y in arrays["target"]]
        self.check_x = jnp.asarray(np.pad(arrays["check_x"], pad), F32)
        self.params = params
        optimizer = optax.adam(workload["lr"])
        self.state = optimizer.init(params)

        def forward(params, x):
            network = nnx.merge(graph, rest, params)
            (z, y), _ = spyx.nn.run(network, x @ network.w_in[...])
            return z[1:], y[1:]

        def update(params, state, x, target):
            def loss(params):
                return 0.5 * ((forward(params, x)[1] - target) ** 2).sum()

            gradients = jax.grad(loss)(params)
            changes, state = optimizer.update(gradients, state)
            return optax.apply_updates(params, changes), state

        self.forward, self.update = jax.jit(forward), jax.jit(update)

    def step(self, k):
        if not self.learns:
            jax.block_until_ready(self.forward(self.params, self.x[k]))
            return None
        arguments = (self.params, self.state, self.x[k], self.target[k])
        self.params, self.state = self.update(*arguments)
        jax.block_until_ready(self.params)
        return None

    def check(self):
        return None, int(self.forward(self.params, self.check_x)[0].sum())


class SpyxAdaptive(Spyx):
    """Spyx's `ALIF`, which resets by the adapted threshold: other spikes than ours."""

    same_model = False
    cell = "ALIF"


class BraintraceNetwork(brainstate.nn.Module):
    """The network of the workload, one step at a time."""

    def __init__(self, workload, arrays):
        super().__init__()
        self.constants = workload
        for name in ("w_in", "w_rec", "w_out"):
            setattr(self, name, brainstate.ParamState(jnp.asarray(arrays[name].T, F32)))
        self.spike = make_spike(workload["gamma"], workload["v_th"])

    def init_state(self, batch_size=None, **options):
        c = self.constants
        zero = jnp.zeros((c["n_samples"], c["n_rec"]), F32)
        self.v = brainstate.HiddenState(zero)
        if c["beta"]:
            self.a = brainstate.HiddenState(zero)
        self.y = brainstate.ShortTermState(jnp.zeros((c["n_samples"], c["n_out"]), F32))

    def spikes(self):
        """Return the spikes of the voltage and threshold as they are now."""
        c = self.constants
        distance = self.v.value - c["v_th"]
        if c["beta"]:
            distance = distance - c["beta"] * self.a.value
        return self.spike(distance)

    def update(self, x):
        c = self.constants
        z = self.spikes()
        current = braintrace.matmul(x, self.w_in.value)
        current = current + braintrace.matmul(z, self.w_rec.value)
        self.v.value = c["alpha"] * self.v.value + current - c["v_th"] * z
        if c["beta"]:
            self.a.value = c["rho"] * self.a.value + z
        sent = self.spikes() @ self.w_out.value
        self.y.value = c["kappa"] * self.y.value + sent
        return self.y.value


class Braintrace:
    """braintrace's `pp_prop`: an approximation of its own, linear in memory.

    The readout is a plain product outside of its traces, which is faster.
    """

    computes = "pp_prop"
    same_model = True

    @staticmethod
    def can(workload):
        return workload["kind"] == "e-prop"

    def __init__(self, workload, arrays):
        self.x = [jnp.asarray(x, F32) for x in arrays["x"]]
        self.target = [jnp.asarray(y, F32) for y in arrays["target"]]
        self.check_x = jnp.asarray(arrays["check_x"], F32)
        self.net = BraintraceNetwork(workload, arrays)
        size = workload["n_samples"]
        learner = braintrace.compile(
            self.net,
            braintrace.pp_prop,
            self.x[0][0],
            batch_size=size,
            decay_or_rank=workload["alpha"],
        )
        optimizer = braintools.optim.Adam(workload["lr"])
        optimizer.register_trainable_weights(learner.param_states)

        def loss(x, target):
            return 0.5 * ((learner(x) - target) ** 2).sum()

        @brainstate.transform.jit
        def update(x, target):
            brainstate.nn.reset_all_states(self.net, batch_size=size)
            learner.reset_state(size)
            found = learner.etrace_grad(x, target, step_fn=loss, reduction="sum")
            optimizer.update(found)

        @brainstate.transform.jit
        def count(x):
            brainstate.nn.reset_all_states(self.net, batch_size=size)

            def body(x_now):
                self.net.update(x_now)
                return self.net.spikes().sum()

            return brainstate.transform.for_loop(body, x).sum()

        self.update, self.count = update, count

    def step(self, k):
        self.update(self.x[k], self.target[k])
        jax.block_until_ready(self.net.w_rec.value)
        return None

    def check(self):
        return None, int(self.count(self.check_x))


LIBRARIES = {
    "spyx rlif": Spyx,
    "spyx alif": SpyxAdaptive,
    "braintrace pp_prop": Braintrace,
}

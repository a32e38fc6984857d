"""NEST's e-prop as a peer; the network is built as in `tests/oracles_nest/driver.py`.

A training step is one `Simulate` over one trial: forward pass, learning signal, traces,
gradient and Adam. NEST updates a weight when its presynaptic neuron next fires, so the
update of a trial is paid for in the next one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from protocol import serve

TRIALS = 64  # prepared; input has to be known before the simulation starts


class NestEProp:
    """`eprop_iaf(_adapt)_bsshslm_2020` with its readout and its synapses.

    NEST's readout scales with 1 - kappa: readout weights and feedback are divided by
    it, and so are the gradients of the readout.
    """

    computes = "e-prop"
    same_model = True

    @staticmethod
    def can(workload):
        small = workload["n_samples"] == 1 and workload.get("n_rec", 0) <= 300
        return workload["kind"] == "e-prop" and small

    def __init__(self, workload, arrays):
        sys.path.insert(0, str(Path(__file__).parents[2] / "oracles_nest"))
        import driver  # prints when it is loaded, so not before

        driver.nest.set_verbosity("M_WARNING")
        self.driver, self.workload, self.arrays = driver, workload, arrays
        self.trials, self.built = 0, False

    def case(self, x, target, optimizer, lr):
        """Return what the driver reads: x (N, T, n_in) and target (N, T, n_out)."""
        w, arrays = self.workload, self.arrays
        each = np.ones(w["n_rec"])
        tau = {name: -1.0 / np.log(w[name]) for name in ("alpha", "kappa")}
        tau_a = -1.0 / np.log(w["rho"]) if w["rho"] else 1.0
        w_out = arrays["w_out"].astype(float) / (1 - w["kappa"])
        return {
            "w_in": arrays["w_in"].astype(float),
            "w_rec": arrays["w_rec"].astype(float),
            "w_out": w_out,
            "feedback": w_out.T,
            "mask": ~np.eye(w["n_rec"], dtype=bool),
            "x": x,
            "target": target,
            "window": w["n_steps"],
            "classification": False,
            "batch_size": 1,
            "optimizer": optimizer,
            "lr": lr,
            "beta_1": 0.9,
            "beta_2": 0.999,
            "epsilon": 1e-8,
            "v_th": w["v_th"] * each,
            "tau_m": tau["alpha"] * each,
            "t_ref": each,  # one step: no silent one
            "beta": w["beta"] * each,
            "tau_a": tau_a * each,
            "unit_scaling": True,
            "surrogate": "piecewise_linear",
            "gamma": w["gamma"],
            "width": 1.0,
            "tau_out": tau["kappa"],
            "c_reg": 0.0,
            "f_target": 10.0,
        }

    def check(self):
        x = self.arrays["check_x"].transpose(1, 0, 2)
        target = self.arrays["check_target"].transpose(1, 0, 2).astype(float)
        lr = 1e-6
        case = self.case(x, target, "gradient_descent", lr)
        answer = self.driver.run(case)
        names = ("w_in", "w_rec", "w_out")
        found = {n: (case[n] - answer[f"final/{n}"]) / lr for n in names}
        found["w_out"] /= 1 - self.workload["kappa"]
        return found, answer["spikes"].sum()

    def build(self):
        """Build the network with the input of all trials, up to the first trial."""
        batches = np.arange(TRIALS) % self.workload["n_batches"]
        x = self.arrays["x"][batches, :, 0]
        target = self.arrays["target"][batches, :, 0].astype(float)
        case = self.case(x, target, "adam", self.workload["lr"])
        self.driver.build(case)
        self.driver.nest.Simulate(float(self.driver.READOUT - 1))
        self.built = True

    def step(self, k):
        if not self.built:
            self.build()
        if self.trials == TRIALS:
            raise RuntimeError(f"only {TRIALS} trials were prepared")
        self.trials += 1
        self.driver.nest.Simulate(float(self.workload["n_steps"]))
        return None


if __name__ == "__main__":
    serve({"nest e-prop": NestEProp})

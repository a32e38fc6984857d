"""Shervani-Tabar et al. 2024, arXiv:2408.08408: Oja's rule and bad initial weights.

A network of 100 leaky ReLU units learns delayed match to sample (a delay of 15 steps)
by e-prop, with three forms of Oja's rule on the recurrent weights, weight decay as the
control, and nothing. Initial gains: 0.1, 1 and 3; 3 is far on the unstable side.

Expected: at gain 3 the rescaled and the subspace form lower the mean training loss of
every seed and reach 100 % on new trials. The textbook form, whose rows grow to norm 1
along one direction, collapses the activity onto one dimension (a participation ratio of
1) at every gain. Weight decay helps too, so a part of the effect is mere shrinkage; the
subspace form does not shrink the spectral radius. At gain 0.1 nothing helps. The
strengths were chosen on seeds 0 to 2 at gain 3 (rescaled at 1e-3 helped in 2 of 5
seeds only). The weights of the textbook form are not at rank 1 after 600 iterations
from gain 3 (stable rank about 7, from 25), so the collapse is judged by the activity.
Five minutes for five seeds; exit status 1 if it comes out otherwise.
"""

# %%
import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

import spikelearn as sl
from spikelearn.connectivity import spectral_radius

DECAY_FACTOR = 0.8  # of the leak, per step of 100 ms
FORMS = {
    "none": (),
    "neuron": (sl.Oja("neuron", 1e-3),),
    "rescaled": (sl.Oja("rescaled", 1e-4),),
    "subspace": (sl.Oja("subspace", 1e-3),),
    "weight decay": (sl.WeightDecay(1e-3),),
}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="a few iterations only")
parser.add_argument("--seeds", type=int, default=5)
parser.add_argument("--first-seed", type=int, default=0)
parser.add_argument("--gains", type=float, nargs="+", default=[0.1, 1.0, 3.0])
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--out", type=Path, help="folder for oja.json")


# %% The task: only the answer counts
class Decisions:
    """Delayed match to sample, judged in the decision period alone."""

    def __init__(self) -> None:
        self.task = sl.make_task(
            "dms", sample_ms=200.0, delay_ms=1500.0, test_ms=200.0, decision_ms=200.0
        )

    def __getattr__(self, name):
        return getattr(self.task, name)

    def _judged(self, batch: sl.Batch) -> sl.Batch:
        mask = np.zeros(self.task.n_steps, np.float32)
        mask[self.task.windows()["decision"]] = 1.0
        return sl.Batch(batch.x, batch.target[-1], mask)

    def train_batch(self, iteration, size, seed):
        return self._judged(self.task.train_batch(iteration, size, seed))

    def evaluation(self, split, size, batch_size):
        return map(self._judged, self.task.evaluation(split, size, batch_size))


def participation_ratio(values: np.ndarray) -> float:
    """Return (sum v)^2 / sum v^2: how many of the values matter."""
    return float(values.sum() ** 2 / np.sum(values**2))


# %% One network
def train(gain: float, form: str, seed: int, iterations: int) -> dict:
    """Train one network; return what became of it."""
    task = Decisions()
    network = sl.RecurrentNetwork(
        task.n_in,
        100,
        task.n_out,
        cell=sl.LeakyRate(tau_m=-task.dt / np.log(DECAY_FACTOR), activation="relu"),
        readout=sl.LeakyReadout(tau_out=0.0),
        dt=task.dt,
    )
    network.initialise(seed, gain=gain)
    trainer = sl.Trainer(
        network,
        task,
        loss=sl.Classification(),
        rule=sl.EProp(),
        optimizer=sl.Adam(lr=1e-3),
        feedback=sl.Feedback("symmetric"),
        terms=FORMS[form],
        batch_size=32,
        seed=seed,
    )
    losses = [trainer.step().loss for _ in range(iterations)]
    (batch,) = task.evaluation("test", 256, 256)
    activity = network.run(batch.x).output.reshape(-1, network.n_rec)
    spectrum = np.linalg.eigvalsh(np.cov(activity.T.astype(np.float64)))
    singular = np.linalg.svd(network.params.w_rec, compute_uv=False)
    return {
        "gain": gain,
        "form": form,
        "seed": seed,
        "mean_training_loss": float(np.mean(losses)),
        "test_accuracy": trainer.evaluate("test", 512).accuracy,
        "activity_participation_ratio": participation_ratio(spectrum),
        "stable_rank": float(np.sum(singular**2) / singular[0] ** 2),
        "spectral_radius": spectral_radius(network.params.w_rec),
    }


def main() -> int:
    options = parser.parse_args()
    seeds, iterations = (1, 5) if options.quick else (options.seeds, 600)
    chosen = range(options.first_seed, options.first_seed + seeds)
    units = [(g, f, s) for g in options.gains for f in FORMS for s in chosen]
    with ProcessPoolExecutor(options.workers) as pool:
        jobs = [pool.submit(train, *unit, iterations) for unit in units]
        results = [job.result() for job in jobs]
    columns = [name for name in results[0] if name not in ("gain", "form", "seed")]
    print(f"{'gain':>5} {'form':<13}" + "".join(f"{name:>30}" for name in columns))
    table = {}
    for gain in options.gains:
        for form in FORMS:
            rows = [r for r in results if (r["gain"], r["form"]) == (gain, form)]
            table[gain, form] = {c: np.array([r[c] for r in rows]) for c in columns}
            cells = (
                f"{v.mean():.3f} +- {v.std():.3f}" for v in table[gain, form].values()
            )
            print(f"{gain:5.1f} {form:<13}" + "".join(f"{cell:>30}" for cell in cells))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results, indent=1)
        (options.out / "oja.json").write_text(text + "\n", encoding="utf-8")
    if options.quick:
        return 0

    # %% The claims, seed by seed
    def better(form: str) -> int:
        loss = "mean_training_loss"
        return int(np.sum(table[3.0, form][loss] < table[3.0, "none"][loss]))

    dimension = [
        table[gain, "neuron"]["activity_participation_ratio"].max()
        for gain in options.gains
    ]
    print(f"gain 3, seeds with a lower loss than without: {seeds} in all;", end=" ")
    print(f"rescaled {better('rescaled')}, subspace {better('subspace')}", end=", ")
    print(f"weight decay {better('weight decay')}")
    print(f"textbook form: dimension of the activity {max(dimension):.3f} at most")
    rescued = better("rescaled") == better("subspace") == seeds
    return 0 if rescued and max(dimension) < 1.01 else 1


if __name__ == "__main__":
    sys.exit(main())

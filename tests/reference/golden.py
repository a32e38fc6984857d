"""Draws and losses of the two published e-prop tasks, as NEST's test suite has them.

The numbers are facts read in testsuite/pytests/sli2py_synapses of NEST 3 (Bellec et al.
2020 tasks); every draw uses NumPy's legacy generator in the order given there.
"""

import numpy as np

REGRESSION_NEST = (
    101.964356999041,
    103.466731126205,
    103.340607074771,
    103.680244037686,
    104.412775748752,
)
CLASSIFICATION_NEST = {
    1: (0.741152550006, 0.740388187700, 0.665785233177, 0.663644193322, 0.729428962844),
    2: (0.702163370672, 0.735555303152, 0.740354864111, 0.683882815282, 0.707841122268),
}


def regression_draws():
    """Weights (post, pre), feedback, input (T, 1, 100) and target (T, 1, 1)."""
    random = np.random.RandomState(1)
    w_in = _single(random.randn(100, 100).T / np.sqrt(100))
    w_rec = _single(random.randn(100, 100).T / np.sqrt(100))
    np.fill_diagonal(w_rec, 0.0)
    w_out = _single(random.randn(100, 1).T / np.sqrt(100))
    feedback = _single(random.randn(100, 1) / np.sqrt(100))
    x = (random.rand(1000, 100) < 0.05).astype(np.uint8)
    x[0] = 0
    amplitude = random.uniform(0.5, 2.0, 4)
    phase = random.uniform(0.0, 2 * np.pi, 4)
    target = np.zeros(1000)
    for a, p, period in zip(amplitude, phase, (1000, 500, 333, 200), strict=True):
        target += a * np.sin(np.linspace(p, p + 2 * np.pi * (1000 // period), 1000))
    target -= target[0]
    target /= np.abs(target).max()
    weights = {"w_in": w_in, "w_rec": w_rec, "w_out": w_out}
    return weights, feedback, x[:, None, :], target[:, None, None]


def classification_draws(n_iterations, batch_size):
    """Weights, feedback, and (x (T, B, 40), label (B,)) of every iteration."""
    random = np.random.RandomState(1)
    w_in = _single(random.randn(40, 100).T / np.sqrt(40))
    w_rec = _single(random.randn(100, 100).T / np.sqrt(100))
    np.fill_diagonal(w_rec, 0.0)
    bound = np.sqrt(3 / 51)
    w_out = _single(random.uniform(-bound, bound, (100, 2)).T)
    feedback = _single(random.randn(100, 2))
    weights = {"w_in": w_in, "w_rec": w_rec, "w_out": w_out}
    batches = [_cue_trials(random, batch_size) for _ in range(n_iterations)]
    return weights, feedback, batches


def _cue_trials(random, batch_size, n_cues=7, group=10):
    probabilities = np.array([[0.3, 0.7], [0.7, 0.3]], dtype=np.float32)
    sides = probabilities[random.choice([0, 1], batch_size)]
    cues = np.array([random.choice([0, 1], n_cues, p=p) for p in sides])
    steps = 2250
    rate = np.zeros((batch_size, steps, 4 * group))
    for sample in range(batch_size):
        for c, side in enumerate(cues[sample]):
            start = 50 + 150 * c
            rate[sample, start : start + 100, side * group : (side + 1) * group] = 0.04
    rate[:, -150:, 2 * group : 3 * group] = 0.04
    rate[:, :, 3 * group :] = 0.01
    x = (rate > random.rand(rate.size).reshape(rate.shape)).astype(np.uint8)
    x[:, 0] = 0
    return x.transpose(1, 0, 2), (cues.sum(axis=1) > n_cues // 2).astype(np.int64)


def _single(array):
    """Round to single precision, as the published draws are, and go on in double."""
    return array.astype(np.float32).astype(np.float64)

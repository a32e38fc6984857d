"""The same bits from kernels that were just compiled and from those of the cache."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import hashlib
import numpy as np
from spikelearn.kernels import kernel_counts
from spikelearn.learning.rules import EProp
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import ALIF, RecurrentNetwork

network = RecurrentNetwork(20, 70, 2, cell=ALIF(tau_m=10.0, beta=0.2, v_th=0.4))
network.initialise(1)
x = (np.random.default_rng(2).random((60, 5, 20)) < 0.2).astype(np.uint8)
digests = []
for threads in (1, 2):
    record = network.run(x, threads=threads)
    signal = LearningSignal(record.y - 1, network.params.w_out.T)
    found = EProp().gradients(network, record, signal, threads=threads)
    digest = hashlib.sha256(record.spikes.tobytes() + record.y.tobytes())
    for array in found.arrays().values():
        assert np.abs(array).max() > 0
        digest.update(np.ascontiguousarray(array).tobytes())
    digests.append(digest.hexdigest())
assert digests[0] == digests[1]
print(kernel_counts()["compiled"] > 0, digests[0])
"""


def _run(folder):
    environment = os.environ | {"SPIKELEARN_CACHE_DIR": str(folder)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_cold_and_a_warm_cache_give_the_same_bits(tmp_path):
    cold = _run(tmp_path)
    warm = _run(tmp_path)
    assert cold[0] == "True"
    assert warm[0] == "False"
    assert cold[1] == warm[1]

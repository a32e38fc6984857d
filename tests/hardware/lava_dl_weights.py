"""What lava-dl and Lava make of weights: `python lava_dl_weights.py CASE.npz OUT.npz`.

As `lava_dl_driver.py` it runs in an environment of its own. CASE.npz holds layers of
one or two blocks, `0/a`, `0/b`, `1/a`, ...; OUT.npz gets for each of them `kept`
(whether every weight is used as it is) and `bits` (99 where lava-dl raises an error).
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))


def main(case_path, answer_path):
    from lava_dl_driver import load_lava_dl

    load_lava_dl()
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import (
        clip_weights,
        determine_sign_mode,
        truncate_weights,
    )

    with np.load(case_path) as file:
        case = dict(file)
    kept, bits = [], []
    for number in range(1 + max(int(name.split("/")[0]) for name in case)):
        blocks = [case[f"{number}/{k}"] for k in "ab" if f"{number}/{k}" in case]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                used, n_bits, exponent, _ = optimize_weight_bits(np.hstack(blocks))
        except (ArithmeticError, ValueError):
            kept.append(False)
            bits.append(99)
            continue
        same, first = n_bits <= 8 and exponent <= 0, 0
        for block in blocks:
            part = used[:, first : first + block.shape[1]]
            first += block.shape[1]
            if not same:
                break
            mode = determine_sign_mode(part)
            clipped = clip_weights(part, mode, num_bits=8)  # as Lava's Dense does
            stored = truncate_weights(clipped, mode, n_bits)
            same = bool((stored == block << -exponent).all())
        kept.append(same)
        bits.append(n_bits)
    np.savez(answer_path, kept=kept, bits=bits)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The C header, compiled and run: every value is that of the emulator."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess

import numpy as np
import pytest

from hardware import emulator
from hardware.export.c_header import write_c_header
from spikelearn.errors import FileAccessError, InvalidValue
from tests.hardware.networks import random_input, random_network

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
needs_compiler = pytest.mark.skipif(
    COMPILER is None, reason="no C compiler (cc, gcc or clang) is there"
)
STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O2")
SANITISE = ("-fsanitize=undefined", "-fno-sanitize-recover=all")
CASES = {
    "plain": {"exponents": (1, 0, 2)},
    "adaptive": {
        "reset": "subtract",
        "adaptive": True,
        "refractory": True,
        "input_bits": 4,
        "bits": 5,
        "exponents": (0, 2, -1),
    },
    "one sign": {"signs": ("excitatory", "inhibitory", "excitatory")},
    "wraps": {"exponents": (7, 6, 7), "bits": 6, "rate": 0.8},
    "wraps of 32 bits": {
        "input_bits": 24,
        "exponents": (7, 7, 7),
        "vth": (0, 131_071),
        "du": (0, 4095),
        "dv": (0, 4095),
        "reset": "subtract",
    },
    "negative exponents": {"exponents": (-8, -3, -1), "vth": (0, 9)},
    "extremes": {
        "adaptive": True,
        "refractory": True,
        "beta": (0, 131_071),
        "db": (0, 4096),
        "vth": (0, 60_000),
        "exponents": (7, 7, 5),
        "rate": 0.7,
    },
    "wraps of the readout": {
        "n_rec": 40,
        "vth": (0, 20),
        "signs": ("excitatory", "mixed", "excitatory"),
        "exponents": (2, 0, 7),
        "rate": 0.8,
    },
}


def with_vectors(seed, rate=0.4, samples=2, **options):
    net = random_network(seed, **options)
    x = random_input(seed + 1, net, 50, samples, rate)
    record = emulator.run(net, x)
    return dataclasses.replace(net, vectors=record.vectors(x)), record


def check(header, *options):
    """Compile a header as a program, run it, return its status and what it prints."""
    program = header.with_suffix("")
    command = [COMPILER, *STRICT, *options, "-x", "c", "-DNETWORK_MAIN"]
    command += ["-o", str(program), str(header)]
    built = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120
    )
    assert built.returncode == 0, built.stderr[-2000:]
    done = subprocess.run(
        [str(program)], check=False, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def has_sanitizer(folder):
    source = folder / "try.c"
    source.write_text("int main(void) { return 0; }\n")
    command = [COMPILER, *SANITISE, "-o", str(folder / "try"), str(source)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@needs_compiler
@pytest.mark.parametrize("name", CASES)
def test_every_value_is_that_of_the_emulator(name, tmp_path):
    for seed in (3, 4):
        net, record = with_vectors(seed, **CASES[name])
        write_c_header(net, tmp_path / "net.h", vectors=2)
        n_values = 2 * 50 * (4 * net.n_rec + net.n_out)
        assert check(tmp_path / "net.h") == (0, f"0 of {n_values} values differ\n")
        assert record.n_spikes > 0


def test_the_cases_reach_the_corners():
    totals = {"u_wraps": 0, "v_saturations": 0, "y_wraps": 0, "y_saturations": 0}
    for options in CASES.values():
        record = with_vectors(3, **options)[1]
        for key in totals:
            totals[key] += getattr(record, key)
    assert all(totals.values()), totals


@needs_compiler
@pytest.mark.parametrize("name", CASES)
def test_no_behaviour_is_undefined(name, tmp_path):
    if not has_sanitizer(tmp_path):
        pytest.skip("the compiler has no undefined behaviour sanitizer")
    net, _ = with_vectors(5, **CASES[name])
    write_c_header(net, tmp_path / "net.h", vectors=2)
    status, text = check(tmp_path / "net.h", *SANITISE)
    assert status == 0 and text.startswith("0 of"), text


@needs_compiler
def test_another_weight_is_seen(tmp_path):
    """Negative control."""
    net, _ = with_vectors(3)
    weights = net.w_rec.weights.copy()
    row = int(net.vectors.spikes.sum(axis=(0, 1)).argmax())
    weights[0, row] += 2
    w_rec = dataclasses.replace(net.w_rec, weights=weights)
    changed = dataclasses.replace(net, w_rec=w_rec)
    write_c_header(changed, tmp_path / "net.h", vectors=1)
    status, text = check(tmp_path / "net.h")
    assert status == 1
    assert int(text.split()[0]) > 0


USER = """\
#include "left.h"
#include "right.h"
#include <stdio.h>
int main(void)
{
    static left_state a;
    static right_state b;
    int32_t x[LEFT_N_IN] = {0};
    int t;
    left_reset(&a);
    right_reset(&b);
    for (t = 0; t < 5; t++) {
        x[0] = 1;
        if (left_step(&a, x) < 0 || right_step(&b, x) < 0) return 1;
    }
    x[0] = 2;
    printf("%d %d %d\\n", left_step(&a, x), (int)a.u[0], (int)b.u[0]);
    return 0;
}
"""


@needs_compiler
def test_two_networks_in_one_program_and_an_input_out_of_range(tmp_path):
    expected = []
    for prefix, seed in (("left", 1), ("right", 2)):
        net = random_network(seed)
        write_c_header(net, tmp_path / f"{prefix}.h", prefix=prefix)
        x = np.zeros((5, 1, net.n_in), int)
        x[:, :, 0] = 1
        expected.append(int(emulator.run(net, x).u[-1, 0, 0]))
    (tmp_path / "user.c").write_text(USER)
    command = [
        COMPILER,
        *STRICT,
        "-o",
        str(tmp_path / "user"),
        str(tmp_path / "user.c"),
    ]
    built = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120
    )
    assert built.returncode == 0, built.stderr
    done = subprocess.run(
        [str(tmp_path / "user")], check=True, capture_output=True, text=True, timeout=60
    )
    assert [int(word) for word in done.stdout.split()] == [-1, *expected]


def test_the_header_is_plain_integers(tmp_path):
    net, _ = with_vectors(1)
    write_c_header(net, tmp_path / "net.h")
    text = (tmp_path / "net.h").read_text()
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for word in ("float", "double", "malloc", "main", "#include <stdio", "$"):
        assert word not in code
    assert not re.search(r"\d\.\d", code)
    assert net.sha256() in text


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("net.c", {}, r"must end in \.h"),
        ("net.h", {"prefix": "2net"}, "prefix must be"),
        ("net.h", {"prefix": "a*/ b"}, "prefix must be"),
        ("net.h", {"vectors": 3}, r"must be 0\.\.2"),
    ],
)
def test_wrong_options_write_nothing(tmp_path, name, options, message):
    with pytest.raises(InvalidValue, match=message):
        write_c_header(with_vectors(1)[0], tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_a_file_where_the_folder_should_be_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileAccessError, match="must be writable"):
        write_c_header(random_network(1), tmp_path / "file" / "net.h")

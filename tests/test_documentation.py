"""What the README and the examples show really runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from spikelearn.runs import load_config, resolve_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def run(command, folder, **environment):
    outcome = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, **environment},
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_the_python_of_the_readme_runs(tmp_path):
    (code,) = blocks("python")
    lines = run([sys.executable, "-c", code], tmp_path).splitlines()
    assert float(lines[0]) > 0.5
    assert lines[1] == "(20, 1, 64) (20, 1, 64) (64, 64)"


def test_the_configurations_of_the_readme_are_valid(tmp_path):
    digits, hardware, flossing, connectivity = blocks("toml")
    (tmp_path / "digits.toml").write_text(digits)
    config = resolve_config(load_config(tmp_path / "digits.toml"))
    assert config.network.n_rec == 64
    (tmp_path / "hardware.toml").write_text(hardware)
    config = resolve_config(
        load_config(tmp_path / "hardware.toml"), ["task.name=digits-rows"]
    )
    assert (config.hardware.weight_bits, config.hardware.fan_in) == (4, 64)
    (tmp_path / "flossing.toml").write_text(flossing)
    config = resolve_config(load_config(tmp_path / "flossing.toml"), ["task.name=dms"])
    assert config.flossing.k == 5
    (tmp_path / "connectivity.toml").write_text(connectivity)
    values = load_config(tmp_path / "connectivity.toml")
    config = resolve_config(values, ["task.name=dms"])
    assert config.network.match == "lyapunov"


@pytest.mark.lava
def test_the_commands_of_the_readme_run(tmp_path):
    (commands,) = [b for b in blocks("sh") if "spikelearn doctor" in b]
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "spikelearn"
        run([sys.executable, "-m", *words], tmp_path)
    assert (tmp_path / "runs" / "digits" / "report.html").exists()


def test_the_readme_names_the_make_targets_that_exist():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test"} <= set(targets)


EXAMPLES = {
    "01_train_digits.py": ("--iterations", "20"),
    "02_integers_and_lava.py": ("--iterations", "20", "--samples", "2"),
    "03_what_a_rule_leaves_out.py": (),
    "04_learn_from_reward.py": ("--iterations", "3"),
    "05_brunel.py": ("--quick", "--out", "figures"),
    "06_flossing.py": ("--iterations", "3", "--out", "figures"),
    "07_fewer_bits.py": (
        *("--iterations", "3", "--seeds", "1", "--bits", "4"),
        *("--out", "figures"),
    ),
    "08_nir.py": (),
    "09_integer_models.py": ("--networks", "5"),
    "10_connectivity.py": ("--quick", "--out", "figures"),
    "11_rich_or_lazy.py": ("--iterations", "3", "--out", "figures"),
    "12_curvature.py": ("--iterations", "20", "--out", "figures"),
    "papers/bellec_2020.py": ("--quick",),
    "papers/liu_2021.py": ("--quick", "--out", "figures"),
    "papers/liu_2022.py": ("--quick",),
    "papers/shervani_tabar_2024.py": ("--quick",),
}


@pytest.mark.lava
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name, tmp_path):
    command = [sys.executable, str(ROOT / "examples" / name), *EXAMPLES[name]]
    assert run(command, tmp_path, TMPDIR=str(tmp_path))


def test_every_example_is_run():
    found = {
        str(p.relative_to(ROOT / "examples")) for p in ROOT.glob("examples/**/*.py")
    }
    assert found == set(EXAMPLES)

"""The peers' environments: one line each, once as they come and once on one core."""

from __future__ import annotations

from tests.benchmarks.child import ROOT, SCRIPTS, Environment


def _environment(name, folder, script, **options):
    python = ROOT / folder / "bin" / "python"
    return Environment(name, python, SCRIPTS / script, **options)


SPARSE = {"kinds": ("simulation",)}
LYAPUNOV = {"kinds": ("lyapunov",)}


# The torch environment also has the float64 reference, so it comes first.
ENVIRONMENTS = (
    _environment("torch", ".venv-peers-torch", "in_torch.py"),
    _environment("torch", ".venv-peers-torch", "in_torch.py", one_core=True),
    _environment("jax", ".venv-peers-jax", "in_jax.py"),
    _environment("jax", ".venv-peers-jax", "in_jax.py", one_core=True),
    _environment("jax", ".venv-peers-jax", "in_jax_lyapunov.py", **LYAPUNOV),
    _environment(
        "jax", ".venv-peers-jax", "in_jax_lyapunov.py", one_core=True, **LYAPUNOV
    ),
    _environment("nest", ".venv-nest", "in_nest.py"),
    _environment("nest", ".venv-nest", "in_nest_cuba.py", **SPARSE),
    _environment("brian2", ".venv-peers-brian2", "in_brian2.py", **SPARSE),
)

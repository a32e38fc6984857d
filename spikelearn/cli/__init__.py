"""The command line: `spikelearn VERB ...`, one module per group of verbs."""

from __future__ import annotations

import sys

import typer

from spikelearn.cli import deployment, information, quickstart, reporting, training
from spikelearn.errors import SpikelearnError

__all__ = ["app", "main"]

app = typer.Typer(
    name="spikelearn",
    help="Train spiking recurrent networks with local plasticity on a CPU, turn them "
    "into integers, and check them bit for bit against Lava's Loihi models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for group in (quickstart, information, training, deployment, reporting):
    group.register(app)


def main() -> None:
    """Run the command line; print our own errors without a traceback, exit status 1."""
    try:
        app()
    except SpikelearnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted (spikelearn resume continues a run)", file=sys.stderr)
        sys.exit(130)

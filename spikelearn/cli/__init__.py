"""The command line: `spikelearn VERB ...`, one module per group of verbs."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer

from spikelearn.cli import (
    benchmarking,
    chip,
    connectivity,
    curvature,
    deployment,
    gradcheck,
    information,
    interchange,
    precision,
    quickstart,
    regime,
    reporting,
    stability,
    study,
    training,
)
from spikelearn.cli._common import show_messages
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
for group in (
    quickstart,
    information,
    gradcheck,
    connectivity,
    stability,
    regime,
    curvature,
    benchmarking,
    training,
    deployment,
    precision,
    chip,
    interchange,
    reporting,
    study,
):
    group.register(app)


class _Stopped(SystemExit):
    """SIGINT or SIGTERM came; unlike KeyboardInterrupt it passes through Typer."""


STOPPING = (signal.SIGINT, signal.SIGTERM)


def _stop(number: int, _: FrameType | None) -> None:
    for other in STOPPING:  # a second one would cut off what ends child processes
        signal.signal(other, signal.SIG_IGN)
    raise _Stopped(128 + number)


def main() -> None:
    """Run the command line; print our own errors without a traceback, exit status 1.

    SIGINT and SIGTERM end it in order (exit status 130 and 143), so that child
    processes are ended with it.
    """
    for number in STOPPING:
        signal.signal(number, _stop)
    show_messages()
    try:
        app()
    except SpikelearnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except MemoryError as error:
        detail = f" ({error})" if str(error) else ""
        print(f"error: memory must suffice; it ran out{detail}.", file=sys.stderr)
        sys.exit(1)
    except _Stopped as stopped:
        hint = "spikelearn resume continues a run, the same command a study"
        print(f"interrupted ({hint})", file=sys.stderr)
        sys.exit(stopped.code)

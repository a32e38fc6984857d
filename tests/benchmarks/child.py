"""A peer's process as we see it: requests, answers, a time limit for each."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).with_name("peers")
START_UP = 180.0  # seconds


class PeerFailed(Exception):
    """A peer answered with an error, died or took too long."""


@dataclass(frozen=True)
class Environment:
    """One script and the environment that it runs in.

    `one_core` holds the process to one core, which some are faster on; `kinds` are the
    kinds of workloads that its peers may be asked for.
    """

    name: str
    python: Path
    script: Path
    one_core: bool = False
    kinds: tuple[str, ...] = ("inference", "e-prop", "bptt")

    @property
    def label(self) -> str:
        """Name for people."""
        return f"{self.name} (1 core)" if self.one_core else self.name


class Child:
    """A running environment; it is started at the first request, and again if it died.

    What the process prints besides its answers goes to `log`.
    """

    def __init__(self, environment, log):
        self.environment, self.log = environment, Path(log)
        self.process, self.lines = None, queue.Queue()
        self.prepared = None

    def _start(self):
        python = self.environment.python
        if not python.exists():
            raise PeerFailed(f"there is no {python} (make bench-peers)")
        hidden = ("PYTHONPATH", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        env = {k: v for k, v in os.environ.items() if k not in hidden}
        core = {max(os.sched_getaffinity(0))}
        hold = (lambda: os.sched_setaffinity(0, core)) if self._one_core() else None
        with self.log.open("a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [str(python), str(self.environment.script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=env,
                preexec_fn=hold,
            )
        self.lines = queue.Queue()
        reader = (self.process.stdout, self.lines)
        threading.Thread(target=_read, args=reader, daemon=True).start()

    def _one_core(self):
        return self.environment.one_core and hasattr(os, "sched_setaffinity")

    def prepare(self, workload, arrays):
        """Send a workload; return what the peers that can do it say of themselves."""
        self.prepared = None
        request = {"op": "prepare", "workload": workload, "arrays": str(arrays)}
        answer = self.ask(request, START_UP)
        self.prepared = request
        return answer["facts"]

    def run(self, peer, limit, check=None):
        """Run a peer once; return its answer."""
        if self.process is None and self.prepared is not None:
            self.ask(self.prepared, START_UP)  # it had died
        check = {} if check is None else {"check": str(check)}
        return self.ask({"op": "run", "peer": peer} | check, limit)

    def ask(self, request, limit):
        """Send one request and return the answer.

        Raises
        ------
        PeerFailed
            If there is none in time, or it is an error.
        """
        if self.process is None:
            self._start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.lines.get(timeout=limit)
        except queue.Empty:
            self.end()
            raise PeerFailed(f"no answer within {limit:.0f} s") from None
        except BrokenPipeError:
            line = None
        if line is None:
            self.end()
            raise PeerFailed(f"the process ended (see {self.log})")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer

    def end(self):
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process = None


def _read(stream, lines):
    """Put the lines of a stream into a queue, and None at its end."""
    with stream:
        for line in stream:
            lines.put(line)
    lines.put(None)

"""The side of a peer: JSON lines on standard input, answers on standard output.

    {"op": "prepare", "workload": {...}, "arrays": "x.npz"} -> {"ready": true,
                                                                "peers": [names]}
    {"op": "run", "peer": NAME}                -> {"ms": .., "gradients": null,
                                                   "spikes": ..}
    {"op": "run", "peer": NAME, "check": "y.npz"} -> the same on the batch of the check,
                                                   with the gradients written to y.npz
    {"op": "quit"}

A failure is answered by {"error": text} and the process goes on. Nothing here imports
spikelearn: this file and its neighbours run in the environments of the peers.

A peer is a class with

    computes      "inference", "e-prop", "bptt", or another word for a rule of its own
    same_model    whether its spikes are to be those of the workload
    can(workload) whether it can do a workload (a static method)
    __init__(workload, arrays)   everything that is done once: conversion, compilation
    step(k)       the work on batch k, complete when it returns; this is timed, unless
                  it returns (spikes, ms) because only a part of it is the work
    check()       gradients (dict of (post, pre) arrays, or None) and number of spikes
                  on the arrays check_x (T, B, n_in) and check_target (T, B, n_out); at
                  the initial weights, so it is called before any step
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback

import numpy as np


class Server:
    """Answers requests with the peers of one environment."""

    def __init__(self, peers):
        self.peers = peers
        self.workload = self.arrays = None
        self.made, self.cursor = {}, {}

    def answer(self, request):
        """Return the answer to one request as a dict."""
        return getattr(self, request["op"])(request)

    def prepare(self, request):
        """Load a workload and forget the one before."""
        self.made.clear()
        self.cursor.clear()
        self.workload = request["workload"]
        with np.load(request["arrays"]) as arrays:
            self.arrays = dict(arrays)
        able = [name for name, peer in self.peers.items() if peer.can(self.workload)]
        facts = {
            name: {
                "computes": self.peers[name].computes,
                "same_model": self.peers[name].same_model,
            }
            for name in able
        }
        return {"ready": True, "peers": able, "facts": facts}

    def run(self, request):
        """Run a peer once, on its next batch or on the batch of the check."""
        name = request["peer"]
        if name not in self.made:
            self.made[name] = self.peers[name](self.workload, self.arrays)
        peer = self.made[name]
        if request.get("check"):
            start = time.perf_counter()
            gradients, spikes = peer.check()
            ms = 1000.0 * (time.perf_counter() - start)
            if gradients is not None:
                np.savez(request["check"], **gradients)
            path = request["check"] if gradients is not None else None
            return {"ms": ms, "gradients": path, "spikes": int(spikes)}
        k = self.cursor.get(name, 0)
        self.cursor[name] = (k + 1) % int(self.workload.get("n_batches", 1))
        start = time.perf_counter()
        spikes = peer.step(k)
        ms = 1000.0 * (time.perf_counter() - start)
        if isinstance(spikes, tuple):
            spikes, ms = spikes
        return {"ms": ms, "gradients": None, "spikes": spikes}


def serve(peers):
    """Answer requests until "quit" or the end of input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print does not get between the answers
    server = Server(peers)
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "quit":
            break
        try:
            answer = server.answer(request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), file=answers, flush=True)

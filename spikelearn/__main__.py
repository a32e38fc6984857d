"""`python -m spikelearn` is the same as `spikelearn`."""

from spikelearn.cli import main

main()

"""How fast spikelearn is, beside what the machine can do."""

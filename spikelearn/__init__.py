"""Train spiking recurrent networks with local plasticity on a CPU."""

"""Fixed-point networks: quantise, emulate, verify, export."""

"""NEST's own e-prop, run beside ours; NEST lives in another process and environment."""

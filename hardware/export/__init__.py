"""Networks for other software."""

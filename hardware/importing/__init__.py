"""Networks of other programs become networks of ours."""

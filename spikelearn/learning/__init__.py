"""Local learning: rules, learning signals, losses, optimisers, the trainer."""

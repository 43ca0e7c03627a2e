"""Many rows: due at one moment, to be pruned, and just there."""

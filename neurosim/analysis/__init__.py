"""Results -> numbers: what a trained network's codes know about what was shown."""

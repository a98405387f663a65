"""What a run leaves on disk: ``run.h5`` and checkpoints, written and read back."""

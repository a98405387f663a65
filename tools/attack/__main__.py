"""``python tools/attack MODEL --images FOLDER ...``."""

import os
import sys
from pathlib import Path

# The tools are packages beside each other; the start of this one put its own folder here.
sys.path[0] = str(Path(__file__).resolve().parent.parent)
# TensorFlow tells of its build at every start; errors still come through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from attack.cli import main  # noqa: E402

if __name__ == "__main__":
    main()

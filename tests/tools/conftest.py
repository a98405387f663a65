"""The tools import each other from the folder that they stand in."""

from __future__ import annotations

import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "tools"

sys.path.insert(0, str(TOOLS))

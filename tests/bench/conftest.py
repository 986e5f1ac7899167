"""bench/ is a folder of scripts: its modules are found from there."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "bench"))

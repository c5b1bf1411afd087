"""`python scripts/train_demo STAGE ...`: trains the demo weights, stage by stage; a stopped stage goes on."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from train_demo.main import main  # noqa: E402 - found through the line above

if __name__ == "__main__":
    sys.exit(main())

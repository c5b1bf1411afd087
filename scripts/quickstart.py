"""From a bare checkout to a first video: `python scripts/quickstart.py` (on Windows `py scripts\\quickstart.py`).

Checks this Python and leaves the rest to `first_video`. `--help` lists the options.
"""

import sys

from interpreter import why_unfit

UNFIT = why_unfit(sys.version_info[:3])
if UNFIT:
    sys.exit(UNFIT)

from first_video import main  # noqa: E402 - an older Python could not read it

if __name__ == "__main__":
    sys.exit(main())

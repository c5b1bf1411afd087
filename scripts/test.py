"""All checks in the checkout's own environment: `python scripts/test.py [--all] [arguments for pytest]`.

Checks this Python and leaves the rest to `checks`.
"""

import sys

from interpreter import why_unfit

UNFIT = why_unfit(sys.version_info[:3])
if UNFIT:
    sys.exit(UNFIT)

from checks import main  # noqa: E402 - an older Python could not read it

if __name__ == "__main__":
    sys.exit(main())

"""Says whether a Python can run the project. Leaves everything else to scripts that are read only if it can.

Old Pythons down to 3.6 must be able to read this file, to be told that they don't fit: hence the quoted annotations.
"""

import shutil
import sys
from typing import Callable  # noqa: UP035 - the other home of the name is not subscriptable before 3.9

OLDEST = (3, 10)
NEWEST = (3, 13)  # the newest for which all dependencies have wheels


def why_unfit(version: "tuple[int, ...]", which: "Callable[[str], str | None]" = shutil.which) -> "str | None":
    """None for a fitting version, else the sentence to end with; it names a fitting Python if `which` finds one."""
    if OLDEST <= version[:2] <= NEWEST:
        return None
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    found = [name for name in names if which(name)]
    if found:
        cure = f"start it with {found[0]} instead"
    else:
        cure = "install Python 3.12 and start it with " + ("py -3.12" if sys.platform == "win32" else "python3.12")
    return f"WAN22 needs Python 3.10 to 3.13, and this is {version[0]}.{version[1]}: {cure}."

"""WAN22: a video generation server for Wan 2.2 on one consumer GPU.

The rooms and what each owns are listed in README.md; imports run to lower ranks only.
"""

__version__ = "0.1.0"

"""The command line: one file per command, thin over the client and the runtime.

`app` lists the commands; `flags`, `listen`, `address` and `local` serve several of them; `serving` is the heavy half of
`serve` and is loaded only when a server is to run; `checks` is what `doctor` looks at.
"""

from wan22.cli.app import main

__all__ = ["main"]

"""Watches the machine and the tasks: what is measured, what has been, and what of it a person should hear of.

`sensors` takes one `reading` of the machine, `sampler` one each second; `history` keeps the last minutes of them, and a
mean of each minute before in the store. Only reads: nothing below knows that it is watched.
"""

"""Watches the machine and the tasks: what is measured, what has been, and what of it a person should hear of.

`sensors` takes one `reading` of the machine, `sampler` one each second; `history` keeps the last minutes of them, and a
mean of each minute before in the store. `gatherer` makes `facts` of them, of tasks and of models' files; `rules`
say what is wrong by the figures of `findings`, `judge` what of it is new; `keeper` writes and tells it, `webhook` sends
it. What is watched does not know of it.
"""

"""Decides how a request is carried out and carries it out: plan, lease a loaded model, run the phases, write the files.

`planning` turns a draft into a request and a plan, `forecasting` says what that will take; `residency` keeps loaded
models and lends them out; `orchestrator` runs one task from first phase to finished file, and `rungs` is what it tries
when memory runs out all the same. Tasks' statuses belong to `queue`, the loop over tasks to `worker`.
"""

"""The registry of all that makes a run faster or smaller: what each does, and whether it does so on this machine. Pure.

`registry` lists them: the report's twenty under its names, and what the field knows beside them. `hardware`, `system`
and `more` judge, one function for each, from the facts that `standing` names. Which of them a run uses is the planner's
decision, or the process's (`tuning`). `advisor` gathers the facts, has what an optimization gains here measured by
`pipelines.gains`, and keeps that.
"""

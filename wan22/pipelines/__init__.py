"""Drives diffusers' own Wan pipelines, phase by phase: load, encode text and pictures, denoise, decode, preview.

`loader` reads weights into a `LoadedModel` once `structure` has looked at their headers, `phases` names the four calls
of a run. The steps themselves are diffusers': the classes in `staged` change only which passes are run and where the
picture's latents come from. Which model is loaded when, and what becomes of the frames, is the orchestrator's.
"""

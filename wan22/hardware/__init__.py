"""What the machine has, and which device, precision and residency follow from it. Never imports torch.

`machine` is the snapshot as values, `probe` takes it, `choose` judges it, `disk` looks at free space.
"""

"""What the machine has, and which device and precision follow from it. Never imports torch.

`machine` is the snapshot as values, `probe` takes it, `choose` judges it, `disk` looks at free space.
"""

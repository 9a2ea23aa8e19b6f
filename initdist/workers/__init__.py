"""The processes that train and measure: one a core or a device, which outlive a job and are given stacks.

Networks with their configs come in; this room knows training (in `worker` alone, which runs in the process itself), the
config and the events, and nothing of Hydra or MLflow. It offers `pool.shared`, whose processes answer with events,
`launching.warm`, and the `partition` of networks into stacks. Whoever owns the pool never imports torch.
"""

"""One stack from its configs to the results of its networks: trained epoch by epoch, measured at each one's end.

Configs and a device come in; this room knows the stacks, the measures and the data, and nothing of Hydra, MLflow or
processes. It offers `job.train` (the whole way), `loop.fit` (a Snapshot an epoch), the rules of `stopping`, the
`checkpoint` of a network, and `measuring`, at the end of training or afterwards.
"""

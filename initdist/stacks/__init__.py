"""N networks of one shape as one: their parameters, passes, gradients and steps, and what is asked of all at once.

Configs and a StackData come in; this room knows the config, the models and the data, and nothing of Hydra, MLflow,
measures or when training ends. It offers `stack.build` (a Stack), `optim.build`, the `losses`, the `evaluation` of a
stack on whole datasets, its `weights` as files, and the `precision` of its arithmetic.
"""

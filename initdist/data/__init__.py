"""What networks are trained and tested on: datasets, noise, and the samples of a whole stack on its device.

Configs come in; this room knows the config and the random streams, and nothing of networks. It offers
`datasets.describe` (facts of a dataset, without torch), `stack_data.build` (a StackData) and the kinds of `noise`.
"""

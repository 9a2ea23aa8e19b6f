"""Hydra's side of the commands: what they can be given, how it is composed, and what is said of a mistake in it.

Overrides and the params of runs come in; this room knows the config and the models, and nothing of torch or MLflow. It
offers `compose` (the schemas, and a config from a run's params), `measure_config` (those of the measure command),
`where` (which runs are meant), `overrides` (shorthand and quotes), `messages` and `signals`.
"""

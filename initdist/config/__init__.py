"""What can be set, with which default and under which rule, and which networks a composed config describes.

A config comes in as Hydra composed it; this room knows the errors and the names, and nothing of torch, data or MLflow.
It offers the `schema`, the `expansion` of a config into its networks, their `validation`, their `identity`, the
`families` of what a config names, found by their files and entry points, and the `stops`, rules on plain numbers.
"""

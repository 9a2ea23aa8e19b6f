"""The one error of the analysis that is meant for the user, not for a debugger."""

from initdist.secrets import masked


class AnalysisError(Exception):
    """A value of the user or a store that cannot be analyzed; the message names key, rule and value, and no secret."""

    def __init__(self, text: str) -> None:
        super().__init__(masked(text))

"""The one error of the analysis that is meant for the user, not for a debugger."""


class AnalysisError(Exception):
    """A value of the user or a store that cannot be analyzed; the message names key, rule and value."""

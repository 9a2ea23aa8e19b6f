"""Errors that a user can mend. Their text is shown without a traceback: name the key, the rule and the value."""


class UserError(ValueError):
    """Base of every error whose message is meant for the person at the command line."""


class ConfigError(UserError):
    """A config value breaks a rule."""


class DatasetError(UserError):
    """A dataset is missing, incomplete or not what it should be."""


class DeviceError(UserError):
    """A device was asked for that is not there."""

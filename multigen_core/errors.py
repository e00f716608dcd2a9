"""Mistakes a user can mend. Each carries one sentence: what is wrong, with which value, and what to do."""

__all__ = ["ConfigError", "MissingExtra", "MissingInput", "UserError"]


class UserError(Exception):
    """Something outside the program is wrong; the command line prints the sentence and exits with code 2."""


class ConfigError(UserError):
    """A key or value of ``params.yaml`` cannot be used."""


class MissingInput(UserError):
    """A file, folder or earlier stage's output is not there."""


class MissingExtra(UserError):
    """An optional package, checkpoint, driver or device is not there."""

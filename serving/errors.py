"""Errors of the serving package.

``ServingError``
    base class; its text is one line that says what to do.
``SettingsError``
    a setting is missing, unknown or out of range; names the key, the value and what is allowed.
"""


class ServingError(Exception):
    """Base class of what this package raises."""


class SettingsError(ServingError):
    """A setting cannot be used."""

"""Errors of the telemetry package.

``TelemetryError``
    base class; its text is one line that says what to do.
``ObjectivesError``
    the file of objectives cannot be read, or a key or value in it is wrong.
``RedactionError``
    what calls say should be recorded, but nothing here can take personal data out of it.
"""


class TelemetryError(Exception):
    """Base class of what this package raises."""


class ObjectivesError(TelemetryError):
    """The file of objectives cannot be used."""


class RedactionError(TelemetryError):
    """Personal data cannot be redacted here."""

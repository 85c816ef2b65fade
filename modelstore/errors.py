"""Errors of the model store.

``ModelError``
    base class; its text is one line that says what to do.
``ModelMissingError``
    a model is not on this machine.
``ModelPullError``
    a download failed, was incomplete, or does not have the expected checksum.
"""


class ModelError(Exception):
    """Base class of what this package raises."""


class ModelMissingError(ModelError):
    """A model has not been pulled."""


class ModelPullError(ModelError):
    """A model could not be pulled."""

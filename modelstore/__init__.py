"""The model store: where the weights of every room lie, and how they get there."""

from modelstore.errors import ModelError, ModelMissingError
from modelstore.store import derived, locate, models_dir

__all__ = ["ModelError", "ModelMissingError", "derived", "locate", "models_dir"]

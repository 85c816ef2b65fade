"""The models Offhook knows by name: which wheels they come in, and which files to take out."""

import tomllib
from importlib import resources

from pydantic import BaseModel, ConfigDict

from modelstore.errors import ModelPullError


class Wheel(BaseModel):
    """A pinned release of a package that carries model files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    bytes: int
    sha256: str


class CatalogModel(BaseModel):
    """One model of the catalog."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    licence: str
    default: bool
    wheels: dict[str, Wheel]
    files: dict[str, list[str]]

    @property
    def download_bytes(self) -> int:
        """Size of all its wheels, bytes."""
        return sum(wheel.bytes for wheel in self.wheels.values())


def load_catalog() -> dict[str, CatalogModel]:
    """Return the catalog, by model name."""
    text = (resources.files("modelstore") / "catalog.toml").read_text(encoding="utf-8")
    models = [CatalogModel.model_validate(table) for table in tomllib.loads(text).values()]
    return {model.name: model for model in models}


def select(names: tuple[str, ...]) -> list[CatalogModel]:
    """Return the named models, or the default ones where none is named.

    Raises:
        ModelPullError: a name is not in the catalog.

    """
    catalog = load_catalog()
    for name in names:
        if name not in catalog:
            raise ModelPullError(
                f"no model {name!r}; there are: {', '.join(catalog)}, or hf:OWNER/NAME@REVISION"
            )
    return [catalog[name] for name in names] or [model for model in catalog.values() if model.default]

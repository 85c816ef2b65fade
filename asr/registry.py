"""The models that are served, and which of them a request means."""

from collections.abc import Mapping

from asr.errors import ParameterError
from asr.settings import AsrSettings
from asr.whisper import Whisper
from modelstore import locate


class Registry:
    """Loaded models by name.

    Args:
        models: the models.
        default: name of the one that answers where a request names none, or another vendor's.
        aliases: beginnings of other vendors' names.

    """

    def __init__(self, models: Mapping[str, Whisper], default: str, aliases: tuple[str, ...]) -> None:
        self.models = models
        self._default = default
        self._aliases = aliases

    @classmethod
    def load(cls, settings: AsrSettings) -> "Registry":
        """Load every model the settings name. Blocking.

        Raises:
            ModelMissingError: one has not been pulled.

        """
        names = {settings.model: settings.model, **settings.models}
        models = {
            name: Whisper(
                locate(source),
                device=settings.device,
                compute_type=settings.compute_type,
                cpu_threads=settings.cpu_threads,
                settings=settings.decode,
            )
            for name, source in names.items()
        }
        return cls(models, settings.model, settings.model_aliases)

    def choose(self, requested: str) -> str:
        """Return the name of the model that answers for ``requested``.

        Raises:
            ParameterError: there is none.

        """
        if requested in self.models:
            return requested
        if any(requested == alias or (alias and requested.startswith(alias)) for alias in self._aliases):
            return self._default
        raise ParameterError(f"model={requested[:80]}: this server has {', '.join(self.models)}")

    def language(self, model: str, requested: str | None, default: str) -> str | None:
        """Return the language to decode with ``model``; None to detect it.

        Raises:
            ParameterError: the model does not know the language.

        """
        whisper = self.models[model]
        if not whisper.multilingual:
            if requested not in (None, "en"):
                raise ParameterError(f"language={requested}: model {model} knows English alone")
            return "en"
        code = requested or (None if default == "auto" else default)
        if code is not None and code not in whisper.languages:
            raise ParameterError(f"language={code}: model {model} does not know it")
        return code

"""The models that are served, and which of them a request means."""

import os
from collections.abc import Mapping

import numpy as np

from asr.audio import SAMPLE_RATE
from asr.errors import AsrError, ParameterError
from asr.parameters import DETECT
from asr.placement import spread
from asr.settings import AsrSettings
from asr.whisper import DecodeJob, Whisper
from modelstore import locate

#: What a model in CTranslate2's format has; without the second faster-whisper would ask the hub for one.
MODEL_FILES = ("model.bin", "tokenizer.json")


class Registry:
    """Loaded models by name.

    Args:
        models: the models.
        alone: those of them that use more threads while only one stream is open.
        default: name of the one that answers where a request names none, or another vendor's.
        aliases: beginnings of other vendors' names.

    """

    def __init__(
        self,
        models: Mapping[str, Whisper],
        default: str,
        aliases: tuple[str, ...],
        *,
        alone: Mapping[str, Whisper] | None = None,
    ) -> None:
        self.models = models
        self.alone = alone or {}
        self._default = default
        self._aliases = aliases

    @classmethod
    def load(cls, settings: AsrSettings) -> "Registry":
        """Load every model the settings name. Blocking.

        Raises:
            ModelMissingError: one has not been pulled.
            AsrError: one is no model that CTranslate2 can read.

        """
        names = {settings.model: settings.model, **settings.models}
        models = {
            name: _load(source, settings, threads=settings.cpu_threads, workers=settings.lanes)
            for name, source in names.items()
        }
        default = models[settings.model]
        threads = min(settings.cpu_threads_alone, os.cpu_count() or 1)
        alone = {}
        if default.device == "cpu" and threads > settings.cpu_threads and settings.lanes > 1:
            model = _load(names[settings.model], settings, threads=threads, workers=1)
            second = DecodeJob(np.zeros(SAMPLE_RATE, np.float32))
            spread(lambda: model.decode([second]), threads)
            alone[settings.model] = model
        return cls(models, settings.model, settings.model_aliases, alone=alone)

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
            if requested not in (None, "en", DETECT):
                raise ParameterError(f"language={requested}: model {model} knows English alone")
            return "en"
        code = requested or default
        if code == DETECT:
            return None
        if code not in whisper.languages:
            raise ParameterError(f"language={code}: model {model} does not know it")
        return code


def _load(source: str, settings: AsrSettings, *, threads: int, workers: int) -> Whisper:
    path = locate(source)
    missing = [name for name in MODEL_FILES if not (path / name).is_file()]
    if missing:
        raise AsrError(
            f"model {source}: {path} has no {' and no '.join(missing)}, as a model in CTranslate2's format has; "
            f"make one with: ct2-transformers-converter --model {path} --output_dir {path}-ct2 "
            "--copy_files tokenizer.json preprocessor_config.json"
        )
    try:
        return Whisper(
            path,
            device=settings.device,
            compute_type=settings.compute_type,
            cpu_threads=threads,
            workers=workers,
            settings=settings.decode,
        )
    except (RuntimeError, ValueError) as error:
        raise AsrError(f"model {source}: {path} cannot be loaded: {error}") from None

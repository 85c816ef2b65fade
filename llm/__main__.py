"""``python -m llm``: become the engine that the ``[llm]`` section names."""

import os

from llm.engine import launch_specs
from llm.errors import LLMError
from llm.profile import load_profile
from llm.settings import LLMSettings
from serving.errors import ServingError
from serving.process import fail
from serving.settings import load_section


def main() -> None:
    """Replace this process by the engine's; what supervises it needs to know nothing else."""
    try:
        settings = load_section("llm", LLMSettings)
        specs = launch_specs(load_profile(settings.profile), settings)
        if len(specs) != 1:
            raise LLMError(
                f"profile {settings.profile!r} is {len(specs)} processes, not one; start it with `offhook up`"
            )
        spec = specs[0]
        os.execvpe(spec.argv[0], spec.argv, {**os.environ, **spec.env})  # noqa: S606 - no shell wanted
    except (LLMError, ServingError, OSError) as error:
        fail("llm", error)


if __name__ == "__main__":
    main()

"""``python -m voice``: the gateway process."""

import logging

from loguru import logger as loguru_logger

from llm.errors import LLMError
from modelstore.errors import ModelError
from modelstore.store import locate
from orchestration.errors import OrchestrationError
from orchestration.settings import load_configuration
from serving.errors import ServingError
from serving.process import fail, serve
from telemetry import gpu, tracing
from telemetry.errors import TelemetryError
from telemetry.redaction import MODEL, Redactor
from voice.errors import VoiceError
from voice.gateway import GatewayService


def quiet_pipecat() -> None:
    """Let only pipecat's warnings into the log: below that it writes down what is said."""
    loguru_logger.remove()
    # One line for every candidate of every browser, with its address.
    logging.getLogger("aioice").setLevel(logging.WARNING)
    loguru_logger.add(
        lambda message: logging.getLogger("pipecat").warning(message.record["message"]), level="WARNING"
    )


def main() -> None:
    """Run the gateway until told to stop."""
    try:
        configuration = load_configuration()
        service = GatewayService(configuration)
        redact = Redactor(locate(MODEL)) if configuration.telemetry.record_content else None
    except (
        ServingError, OrchestrationError, LLMError, VoiceError, TelemetryError, ModelError,
    ) as error:  # fmt: skip
        fail("gateway", error)
    quiet_pipecat()
    tracing.start("gateway", redact)
    gpu.register()
    gateway = configuration.gateway
    serve(
        service,
        host=gateway.host,
        port=gateway.port,
        drain_seconds=gateway.drain_seconds,
        impediment=service.impediment,
        certificate=configuration.access.tls_certificate,
        certificate_key=configuration.access.tls_key,
    )


if __name__ == "__main__":
    main()

"""The ``[gateway]`` section, and the whole configuration put together."""

from dataclasses import dataclass

from pydantic import Field

from asr.settings import AsrSettings
from llm.settings import LLMSettings
from orchestration.doors import AccessSettings, PhoneSettings, RealtimeSettings, WebSettings
from orchestration.guard import GuardSettings
from orchestration.trunk import SipSettings
from orchestration.watch import TelemetrySettings
from serving.errors import SettingsError
from serving.settings import Section, load_section, read_tables
from tts.settings import TtsSettings


class GatewaySettings(Section):
    """Section ``[gateway]``: where calls come in, and how they are held."""

    host: str = Field("127.0.0.1", description="Address to bind.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port.")
    drain_seconds: float = Field(30.0, ge=0, description="How long calls may go on after SIGTERM.")
    agent: str = Field(
        "concierge", description="Agent that answers: a shipped name or a path to a TOML file."
    )
    agents: tuple[str, ...] = Field(
        (), description="Further agents that a call may ask for by name: shipped names or paths."
    )
    asr_url: str = Field("", description="WebSocket base URL of the ear; empty: the one of this stack.")
    tts_url: str = Field("", description="WebSocket base URL of the mouth; empty: the one of this stack.")
    max_calls: int = Field(32, ge=1, description="Calls held at once; one more is turned away.")
    strained_seconds: float = Field(
        0.0,
        ge=0,
        description="No new call while callers wait longer than this for answers (median voice to voice of the "
        "last half minute); 0: only max_calls counts.",
    )
    handshake_seconds: float = Field(5.0, gt=0, description="A media stream must say what it is within this.")
    media_timeout_seconds: float = Field(
        15.0, gt=0, description="A caller whose media stops for this long has gone."
    )
    max_lead_seconds: float = Field(
        2.0,
        gt=0,
        description="Audio may run ahead of real time by this much; more is a flood or a wrong rate.",
    )
    remembered_calls: int = Field(
        100, ge=1, description="Ended calls whose conversation stays in memory for /api/calls."
    )


@dataclass(frozen=True)
class Configuration:
    """Every section, validated."""

    gateway: GatewaySettings
    asr: AsrSettings
    llm: LLMSettings
    tts: TtsSettings
    access: AccessSettings
    web: WebSettings
    phone: PhoneSettings
    sip: SipSettings
    realtime: RealtimeSettings
    telemetry: TelemetrySettings
    guard: GuardSettings

    @property
    def asr_url(self) -> str:
        """WebSocket base URL of the ear."""
        return self.gateway.asr_url or f"ws://{_reachable(self.asr.host)}:{self.asr.port}"

    @property
    def tts_url(self) -> str:
        """WebSocket base URL of the mouth."""
        return self.gateway.tts_url or f"ws://{_reachable(self.tts.host)}:{self.tts.port}"

    @property
    def gateway_url(self) -> str:
        """HTTP base URL of the gateway, as seen from this machine."""
        scheme = "https" if self.access.tls_certificate else "http"
        return f"{scheme}://{_reachable(self.gateway.host)}:{self.gateway.port}"


SECTIONS: dict[str, type[Section]] = {
    "gateway": GatewaySettings,
    "asr": AsrSettings,
    "llm": LLMSettings,
    "tts": TtsSettings,
    "access": AccessSettings,
    "web": WebSettings,
    "phone": PhoneSettings,
    "sip": SipSettings,
    "realtime": RealtimeSettings,
    "telemetry": TelemetrySettings,
    "guard": GuardSettings,
}


def load_configuration() -> Configuration:
    """Load every section.

    Raises:
        SettingsError: a section or key is unknown, or a value not allowed.

    """
    for name in read_tables():
        if name not in SECTIONS:
            raise SettingsError(f"[{name}]: no such section; there are: {', '.join(SECTIONS)}")
    return Configuration(
        gateway=load_section("gateway", GatewaySettings),
        asr=load_section("asr", AsrSettings),
        llm=load_section("llm", LLMSettings),
        tts=load_section("tts", TtsSettings),
        access=load_section("access", AccessSettings),
        web=load_section("web", WebSettings),
        phone=load_section("phone", PhoneSettings),
        sip=load_section("sip", SipSettings),
        realtime=load_section("realtime", RealtimeSettings),
        telemetry=load_section("telemetry", TelemetrySettings),
        guard=load_section("guard", GuardSettings),
    )


def _reachable(host: str) -> str:
    """Return the address under which a server bound to ``host`` is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"[{host}]" if ":" in host else host

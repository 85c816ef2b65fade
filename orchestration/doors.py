"""Settings of the doors: who may come in, the browser's, the carriers'."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from serving.settings import Section

Origin = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+$")]


class AccessSettings(Section):
    """Section ``[access]``: who may come in, and how often."""

    keys_file: str = Field("", description="TOML file of hashed API keys (`offhook keys create`).")
    session_secret: SecretStr = Field(
        SecretStr(""), description="Signs session tokens, 32 bytes or more; empty: a new one at each start."
    )
    session_seconds: float = Field(600.0, gt=0, le=86400, description="How long a session token is good for.")
    allowed_origins: tuple[Origin, ...] = Field(
        (), description="Web origins besides the gateway's own whose pages may call."
    )
    requests_per_minute: int = Field(120, ge=1, description="Requests of one address; more get 429.")
    max_calls_per_address: int = Field(8, ge=1, description="Calls held at once by one address.")
    max_body_bytes: int = Field(262_144, ge=1024, description="Largest HTTP request body taken.")
    tls_certificate: str = Field("", description="PEM file of the certificate chain; empty: no TLS.")
    tls_key: str = Field("", description="PEM file of its private key.")

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key come together; set both or neither")
        secret = self.session_secret.get_secret_value()
        if secret and len(secret.encode()) < 32:
            raise ValueError("session_secret is shorter than 32 bytes; take `openssl rand -hex 32`")
        return self


class IceServer(BaseModel):
    """One STUN or TURN server, as WebRTC writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urls: Annotated[str, StringConstraints(pattern=r"^(stun|stuns|turn|turns):\S+$")]
    username: str = ""
    credential: SecretStr = SecretStr("")


class WebSettings(Section):
    """Section ``[web]``: calls from a browser."""

    ice_servers: tuple[IceServer, ...] = Field(
        (), description="STUN and TURN servers, of the gateway and of the page."
    )
    connect_seconds: float = Field(
        20.0, gt=0, description="A browser that was given an answer must connect within this."
    )


class RealtimeSettings(Section):
    """Section ``[realtime]``: calls through the OpenAI Realtime protocol."""

    max_session_seconds: float = Field(3600.0, gt=0, le=86400, description="A session is ended after this.")
    idle_seconds: float = Field(
        600.0, gt=0, le=86400, description="A session in which nobody says or writes anything is ended."
    )
    max_items: int = Field(1000, ge=1, le=100_000, description="Items of one conversation.")
    max_buffer_seconds: float = Field(
        300.0, gt=0, le=3600, description="Sound of one session that may wait to be committed or heard."
    )
    max_transcriptions: int = Field(
        8, ge=1, le=100, description="Recordings of one session that may be transcribed at once."
    )
    outbox_events: int = Field(
        2000, ge=16, le=100_000, description="Events that may wait for a client to read them."
    )
    outbox_bytes: int = Field(
        8_388_608, ge=2_097_152, description="Their size: a client that reads too slowly is let go."
    )


class TwilioSettings(BaseModel):
    """Twilio's account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_sid: str = ""
    auth_token: SecretStr = Field(SecretStr(""), description="Checks webhooks and signs REST requests.")
    from_number: str = Field("", description="Number outbound calls come from, E.164.")


class TelnyxSettings(BaseModel):
    """Telnyx's account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_key: str = Field("", description="Ed25519 key that webhooks are signed with, base64.")
    api_key: SecretStr = SecretStr("")
    connection_id: str = Field("", description="TeXML application outbound calls belong to.")
    from_number: str = ""


class PlivoSettings(BaseModel):
    """Plivo's account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auth_id: str = ""
    auth_token: SecretStr = SecretStr("")
    from_number: str = ""


class VonageSettings(BaseModel):
    """Vonage's account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    signature_secret: SecretStr = Field(SecretStr(""), description="Checks the JWT of signed webhooks.")
    application_id: str = ""
    private_key_file: str = Field("", description="PEM file that signs REST requests.")
    from_number: str = ""


class SipWebhookSettings(BaseModel):
    """A SIP provider that announces calls by Standard Webhooks, as OpenAI's does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secret: SecretStr = Field(SecretStr(""), description="Standard Webhooks secret, `whsec_…`.")
    base_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="The provider's API (`https://api.openai.com/v1`); empty: announcements are only logged.",
    )
    api_key: SecretStr = SecretStr("")
    model: str = Field("gpt-realtime", description="What the provider accepts calls with; it says nothing.")
    target_uri: str = Field(
        "",
        pattern=r"^(sips?:\S+)?$",
        description="Where calls are referred to: this gateway's SIP door (`sip:agent@voice.example.org`).",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.base_url and not (self.target_uri and self.api_key.get_secret_value()):
            raise ValueError("sip_webhook.base_url needs target_uri and api_key too")
        return self


class CallingHours(BaseModel):
    """When outbound calls may be placed, in the callee's time zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_zone: str = Field("UTC", description="IANA name.")
    first_hour: int = Field(8, ge=0, le=23, description="No call before this hour.")
    last_hour: int = Field(21, ge=1, le=24, description="No call from this hour on.")


class PhoneQueue(BaseModel):
    """What callers hear instead of the busy signal while all lines are busy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(0, ge=0, le=1000, description="Callers who may wait; 0: they get the busy signal.")
    seconds: float = Field(120.0, gt=0, le=3600, description="Longest wait; then the busy signal.")
    every_seconds: int = Field(8, ge=1, le=60, description="How often a waiting caller is looked after.")
    text: str = Field(
        "All lines are busy. Please hold the line.",
        max_length=300,
        description="Said in the carrier's voice.",
    )


class PhoneSettings(Section):
    """Section ``[phone]``: the carriers."""

    public_url: str = Field(
        "",
        pattern=r"^(https?://[^/\s]+)?$",
        description="Where carriers reach this gateway (`https://voice.example.org`); empty: as they asked.",
    )
    media_token_seconds: float = Field(
        30.0, gt=0, le=600, description="The media socket must open this soon after the answer document."
    )
    webhook_tolerance_seconds: float = Field(
        300.0, gt=0, le=3600, description="Signed webhooks older than this are stale; remembered this long."
    )
    outbound: Literal["", "twilio", "telnyx", "plivo", "vonage", "sip"] = Field(
        "", description="Carrier of `offhook dial NUMBER`; sip: URIs always go over SIP."
    )
    api_base: str = Field("", description="Base URL of the carrier's REST API; empty: the carrier's own.")
    ring_seconds: float = Field(
        180.0, gt=0, le=600, description="A call that was placed must be picked up within this."
    )
    queue: PhoneQueue = PhoneQueue()
    check_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Asked before every outbound call: POST {to, agent}; only 2xx lets it be placed.",
    )
    do_not_call_file: str = Field("", description="Numbers never to be called, one E.164 number a line.")
    hours: CallingHours = CallingHours()
    twilio: TwilioSettings = TwilioSettings()
    telnyx: TelnyxSettings = TelnyxSettings()
    plivo: PlivoSettings = PlivoSettings()
    vonage: VonageSettings = VonageSettings()
    sip_webhook: SipWebhookSettings = SipWebhookSettings()

"""Section ``[sip]``: phones and trunks that call over SIP."""

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from serving.settings import Section

#: What may stand in a SIP user name without being quoted, and can be written to the stack's account line.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._+-]{1,64}$")]
HostPort = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])?(:[0-9]{1,5})?$")]
#: A call takes two ports, and a re-negotiation two more for a moment.
PORTS_PER_CALL = 4
#: What keeps the SIP process from being ready until the registrar has answered for the first time.
REGISTERING = "registering"


def _usable(password: SecretStr) -> SecretStr:
    if any(char in '"\\' or not char.isprintable() for char in password.get_secret_value()):
        raise ValueError('a SIP password cannot have ", \\ or control characters')
    return password


class SipSettings(Section):
    """Section ``[sip]``. Off by default; nothing listens then."""

    enabled: bool = Field(False, description="Whether SIP calls are taken.")
    host: str = Field(
        "127.0.0.1",
        description="Address of one interface to bind; it is what peers are told to send sound to.",
    )
    port: int = Field(5060, ge=1, le=65535, description="UDP and TCP port of SIP.")
    http_port: int = Field(
        8084,
        ge=1,
        le=65535,
        description="Loopback port of the SIP process: health, metrics, the gateway's orders.",
    )
    first_rtp_port: int = Field(10000, ge=1024, le=65535, description="First UDP port of the sound.")
    last_rtp_port: int = Field(19999, ge=1024, le=65535, description="Last UDP port of the sound.")
    peers: tuple[str, ...] = Field(
        ("127.0.0.0/8", "::1/128"),
        description="Addresses and networks that may call without credentials; the registrar's is added.",
    )
    users: dict[Name, SecretStr] = Field(
        default_factory=dict, description="Names and passwords with which anybody else may call (digest)."
    )
    user: Name = Field("offhook", description="Our name: `sip:USER@DOMAIN`.")
    domain: HostPort = Field(
        "", description="Registrar or trunk, HOST or HOST:PORT; empty: calls only come in."
    )
    registration: bool = Field(True, description="Whether to register with `domain`.")
    auth_user: Name | Literal[""] = Field("", description="Name to authenticate with; empty: `user`.")
    password: SecretStr = Field(SecretStr(""), description="Password at the registrar or trunk (digest).")
    proxy: HostPort = Field("", description="Outbound proxy, where it is not `domain` itself.")
    transport: Literal["udp", "tcp"] = Field("udp", description="Towards `domain`.")
    register_seconds: int = Field(300, ge=30, le=86400, description="Registration is renewed this often.")
    codecs: tuple[Literal["opus", "pcmu", "pcma"], ...] = Field(
        ("opus", "pcmu", "pcma"), min_length=1, description="In order of preference."
    )
    jitter_min_ms: int = Field(20, ge=10, le=500, description="The jitter buffer holds at least this much.")
    jitter_max_ms: int = Field(200, ge=10, le=1000, description="And adapts up to this.")
    stun_server: HostPort = Field("", description="Finds our public address behind NAT; empty: none.")
    when_full: Literal["busy", "unavailable"] = Field(
        "busy",
        description="All lines busy: 486 Busy Here, or 503 with Retry-After (a trunk tries elsewhere).",
    )
    retry_after_seconds: int = Field(5, ge=1, le=3600, description="Retry-After of a 503.")
    admission_seconds: float = Field(
        3.0, gt=0, description="The gateway must take or refuse a call within this."
    )
    ring_seconds: float = Field(45.0, gt=0, le=180, description="A call we place may ring this long.")
    transfer_seconds: float = Field(
        30.0, gt=0, le=120, description="A transfer's outcome must come within this."
    )
    bridge_secret: SecretStr = Field(
        SecretStr(""), description="Shared by gateway and SIP process; `offhook up` makes one at each start."
    )

    @field_validator("peers")
    @classmethod
    def _are_networks(cls, peers: tuple[str, ...]) -> tuple[str, ...]:
        for peer in peers:
            try:
                ipaddress.ip_network(peer)
            except ValueError as error:
                raise ValueError(f"{peer!r} is no address or network: {error}") from None
        return peers

    @field_validator("host")
    @classmethod
    def _is_one_address(cls, host: str) -> str:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("write the IP address of one interface") from None
        if address.is_unspecified:
            raise ValueError("peers must be told an address; write that of one interface")
        return host

    @field_validator("users")
    @classmethod
    def _passwords(cls, users: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for password in users.values():
            if not password.get_secret_value():
                raise ValueError("a user without a password is nobody")
        return users

    @field_validator("password")
    @classmethod
    def _password(cls, password: SecretStr) -> SecretStr:
        return _usable(password)

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        if self.last_rtp_port - self.first_rtp_port < PORTS_PER_CALL:
            raise ValueError(f"last_rtp_port must be at least {PORTS_PER_CALL} above first_rtp_port")
        if self.jitter_max_ms < self.jitter_min_ms:
            raise ValueError("jitter_max_ms is below jitter_min_ms")
        if self.password.get_secret_value() and not self.domain:
            raise ValueError("password is for a registrar or trunk; set domain")
        return self

    @property
    def registers(self) -> bool:
        """Whether there is a registrar to register with."""
        return bool(self.domain) and self.registration

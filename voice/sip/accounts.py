"""Section ``[sip]`` in the words of the SIP stack: its configuration file and its accounts."""

import ipaddress
import logging
import os
import re
import socket
from typing import Any

from baresip import Account

from orchestration.trunk import SipSettings

logger = logging.getLogger(__name__)

#: The stack's names of the codecs. Opus is taken as 16 kHz mono, what the ear hears; it is 48 kHz on the wire.
CODECS = {"opus": "opus/16000/1", "pcmu": "pcmu", "pcma": "pcma"}


def hindrance(host: str, port: int) -> str:
    """Return why the UDP port cannot be bound; empty: it can."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            return os.strerror(error.errno or 0)
    return ""


def configuration(settings: SipSettings) -> str:
    """Return what of the stack's configuration file baresip's own settings class has no field for."""
    lines: dict[str, Any] = {
        "sip_listen": f"{_bracketed(settings.host)}:{settings.port}",
        "sip_transports": "udp,tcp",
        "rtp_ports": f"{settings.first_rtp_port}-{settings.last_rtp_port}",
        "audio_jitter_buffer_type": "adaptive",
        "audio_jitter_buffer_ms": f"{settings.jitter_min_ms}-{settings.jitter_max_ms}",
        "opus_samplerate": 16000,
        "opus_stereo": "no",
        "opus_sprop_stereo": "no",
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())


def direct_account(settings: SipSettings) -> str:
    """Return the account of calls that come in from anywhere, over any transport."""
    account = Account(
        user=settings.user,
        domain=f"{_bracketed(settings.host)}:{settings.port}",
        password="",
        reg_interval=0,
        audio_codecs=tuple(CODECS[name] for name in settings.codecs),
        extra_params=("catchall=yes", *_nat(settings)),
    )
    # The class writes a transport, and the stack would take calls over no other.
    return account.aor().replace(";transport=udp", "")


def trunk_account(settings: SipSettings) -> Account:
    """Return the account at the registrar or trunk."""
    return Account(
        user=settings.user,
        domain=settings.domain,
        password=settings.password.get_secret_value(),
        registrar=settings.proxy or None,
        reg_interval=settings.register_seconds if settings.registers else 0,
        transport=settings.transport,
        audio_codecs=tuple(CODECS[name] for name in settings.codecs),
        auth_user=settings.auth_user or None,
        extra_params=("catchall=yes", *_nat(settings)),
    )


def _nat(settings: SipSettings) -> tuple[str, ...]:
    return ("medianat=stun", f"stunserver=stun:{settings.stun_server}") if settings.stun_server else ()


def addresses(domain: str) -> set[str]:
    """Return the addresses of a registrar; none where its name is not known now."""
    host = domain.rpartition(":")[0] if re.search(r":\d+$", domain) else domain
    try:
        found = socket.getaddrinfo(host.strip("[]"), None)
    except OSError as error:
        logger.warning("[sip] domain = %r: %s; calls from it need [sip] peers", domain, error)
        return set()
    return {str(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host

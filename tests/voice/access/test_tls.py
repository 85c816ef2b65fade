"""TLS by configuration, with a certificate made for the test."""

import datetime
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import REPOSITORY, Stack, run_offhook
from tests.voice.conftest import Gateway, StartGateway
from tests.voice.phone.line import carrier_line
from tests.voice.phone.streams import STREAMS

HOST = "voice.example.org"


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for :data:`HOST`, and its key."""

    certificate: Path
    key: Path

    @property
    def settings(self) -> dict[str, str]:
        """What a gateway is told of it."""
        return {
            "OFFHOOK_ACCESS__TLS_CERTIFICATE": str(self.certificate),
            "OFFHOOK_ACCESS__TLS_KEY": str(self.key),
        }


def make_certificate(folder: Path, name: str) -> Certificate:
    """Make one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    paths.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "good")


@pytest.fixture(scope="module")
def secure(start_gateway: StartGateway, certificate: Certificate) -> Iterator[Gateway]:
    """A gateway that speaks TLS."""
    with start_gateway(**certificate.settings) as gateway:
        yield gateway


def test_the_page_comes_over_https(secure: Gateway, certificate: Certificate) -> None:
    """Whoever trusts the certificate gets the page under the certificate's name, and nobody gets it without TLS."""
    context = ssl.create_default_context(cafile=str(certificate.certificate))
    with httpx.Client(verify=context) as http:
        page = http.get(f"{secure.url}/", extensions={"sni_hostname": HOST})
        assert page.status_code == 200
        assert "Offhook" in page.text
    with pytest.raises(httpx.ConnectError, match="certificate"):
        httpx.get(f"{secure.url}/", verify=context)
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{secure.port}/")


async def test_a_call_over_tls(secure: Gateway, certificate: Certificate) -> None:
    """A carrier's media stream is held over wss."""
    context = ssl.create_default_context(cafile=str(certificate.certificate))
    url = f"{secure.ws_url}/phone/twilio/media"
    async with carrier_line(url, STREAMS[0], "over-tls", ssl=context, server_hostname=HOST) as line:
        await line.until_heard(0.3)
        await line.hang_up()


def test_offhook_call_over_tls(secure: Gateway, stack: Stack, tmp_path: Path) -> None:
    """This machine's own command calls a gateway whose certificate names another host."""
    result = run_offhook(
        "call", "--say", "What is the capital of France?", "--json", "--url", secure.url,
        environment=stack.environment, folder=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Paris" in json.loads(result.stdout)["turns"][0]["answered"]


@pytest.mark.parametrize("wrong", ["missing", "mismatch", "garbage"])
def test_a_wrong_pair(stack: Stack, certificate: Certificate, tmp_path: Path, wrong: str) -> None:
    """A certificate that cannot be used is one line at the start."""
    other = make_certificate(tmp_path, "other")
    key = {"missing": tmp_path / "none.key", "mismatch": other.key, "garbage": Path(__file__)}[wrong]
    environment = {**stack.environment, **certificate.settings, "OFFHOOK_ACCESS__TLS_KEY": str(key)}
    result = subprocess.run(
        [sys.executable, "-m", "voice"],
        env={**environment, "OFFHOOK_GATEWAY__PORT": "0", "PYTHONPATH": str(REPOSITORY)},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "TLS" in result.stderr
    assert str(key) in result.stderr
    assert "Traceback" not in result.stderr

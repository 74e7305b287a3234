"""Devices ask for certificates, and prove with them at a TLS proxy who they are."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from json import dumps
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import sqlalchemy as sa
import websockets
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from db import models as m
from db.types import later
from tests.support.certificates import certificate_request
from tests.support.platforms import Platform
from tests.support.serving import Serve

CREATE = """mutation($d:ID!,$r:String!){it:createDeviceCertificate(device:$d,request:$r){__typename
    ...on SignedCertificate{certificate authority expiresAt credential{id kind device{id}}} ...on Problem{code message field}}}"""
ME = "{me:devices(first:5){nodes{id}}}"
STATUS = "mutation{it:setDeviceStatus(status:{battery:7}){__typename ...on Device{id} ...on Problem{code}}}"
REVOKE = "mutation($i:ID!){it:revokeCredential(id:$i){__typename}}"


def pem_of(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[no-any-return]


@asynccontextmanager
async def proxied(folder: Path, port: int, authority: str, *, escaped: bool = False) -> AsyncIterator[int]:
    """A TLS proxy before a gateway: it takes only certificates of the authority, and tells them in `Client-Cert`."""
    own = ec.generate_private_key(ec.SECP256R1())
    name, moment = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(own.public_key())
    builder = builder.serial_number(7).not_valid_before(moment).not_valid_after(moment + timedelta(days=1))
    (folder / "proxy.pem").write_text(pem_of(own) + builder.sign(own, SHA256()).public_bytes(Encoding.PEM).decode())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "proxy.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(cadata=authority)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        told = quote(ssl.DER_cert_to_PEM_cert(der)) if escaped else f":{base64.b64encode(der).decode()}:"
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"client-cert:")]
        behind, ahead = await asyncio.open_connection("127.0.0.1", port)
        ahead.write(b"\r\n".join([*lines, f"Client-Cert: {told}".encode(), b"", b""]))

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while some := await source.read(65_536):
                target.write(some)
                await target.drain()
            target.close()

        both = [asyncio.create_task(pump(reader, ahead)), asyncio.create_task(pump(behind, writer))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for one in both:
            one.cancel()
        ahead.close()
        writer.close()

    server = await asyncio.start_server(forward, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def client_tls(folder: Path, key: Any, certificate: str) -> ssl.SSLContext:
    (folder / "device.pem").write_text(pem_of(key) + certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.load_cert_chain(folder / "device.pem")
    return tls


@pytest.mark.parametrize("escaped", [False, True], ids=["rfc9440", "escaped_pem"])
async def test_a_device_is_known_by_its_certificate_behind_a_proxy(serve: Serve, backend: str, tmp_path: Path, escaped: bool) -> None:  # fmt: skip
    gateway = await serve(backend, certificate_header="Client-Cert")
    device = gateway.world.here.id("Device", "device")
    key, root = ec.generate_private_key(ec.SECP256R1()), await gateway.log_in("root")
    made = (await gateway.ask(CREATE, root, d=device, r=certificate_request(key)))["it"]
    tls = client_tls(tmp_path, key, made["certificate"])
    port = int(gateway.url.rpartition(":")[2])
    async with proxied(tmp_path, port, made["authority"], escaped=escaped) as front:
        address = f"127.0.0.1:{front}/graphql"

        async def ask(headers: dict[str, str]) -> httpx2.Response:
            async with httpx2.AsyncClient(verify=tls) as client:
                return await client.post(f"https://{address}", json={"query": STATUS}, headers=headers)

        for headers in ({}, {"Client-Cert": ":AAAA:"}):
            it = (await ask(headers)).json()["data"]["it"]
            assert it == {"__typename": "Device", "id": device}
        user = (await ask({"Authorization": root})).json()["data"]["it"]
        assert user["code"] == "FORBIDDEN"  # who says who they are is believed first
        async with websockets.connect(f"wss://{address}", ssl=tls, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            await socket.send('{"type":"connection_init"}')
            assert "connection_ack" in str(await socket.recv())
            await socket.send(dumps({"id": "1", "type": "subscribe", "payload": {"query": STATUS}}))
            assert device in str(await socket.recv())
        await gateway.ask(REVOKE, root, i=made["credential"]["id"])
        assert (await ask({})).status_code == 401


async def test_nobody_says_of_themselves_that_they_have_a_certificate(serve: Serve, backend: str) -> None:
    gateway = await serve(backend)
    device, root = gateway.world.here.id("Device", "device"), await gateway.log_in("root")
    made = (await gateway.ask(CREATE, root, d=device, r=certificate_request()))["it"]
    der = ssl.PEM_cert_to_DER_cert(made["certificate"])
    fingerprint = x509.load_der_x509_certificate(der).fingerprint(SHA256()).hex()
    told = f":{base64.b64encode(der).decode()}:"
    it = (await gateway.client.post("/graphql", json={"query": STATUS}, headers={"Client-Cert": told})).json()
    assert it["data"] is None or it["data"]["it"]["code"] == "UNAUTHENTICATED"  # no setting names this header
    behind = await serve(backend, certificate_header="Client-Cert")
    for mark in ("", ":", f":{'0' * 64}", f":{fingerprint}"):
        headers = {"Authorization": f"Torana-Certificate {fingerprint}{mark}"}
        for one in (gateway, behind):
            assert (await one.client.post("/graphql", json={"query": ME}, headers=headers)).status_code == 401
    for bad in ("x", ":", "::", ":!:", "é", ":" + "A" * 20_000 + ":", "-----BEGIN CERTIFICATE-----"):
        answer = await behind.client.post("/graphql", json={"query": ME}, headers={"Client-Cert": bad.encode()})  # type: ignore[dict-item]
        assert answer.status_code == 401, bad
    twice = [("Client-Cert", told), ("Client-Cert", told)]
    assert (await behind.client.post("/graphql", json={"query": ME}, headers=twice)).status_code == 401


async def test_a_certificate_says_what_we_know_and_not_what_was_asked(platform: Platform) -> None:
    here = platform.world.here
    key = rsa.generate_private_key(65_537, 2048)
    made = (await platform.ask(CREATE, "root", d=here.id("Device", "device"), r=certificate_request(key, "root")))["it"]
    own, authority = (x509.load_pem_x509_certificate(made[name].encode()) for name in ("certificate", "authority"))
    own.verify_directly_issued_by(authority)
    assert own.public_key() == key.public_key()
    assert own.subject.rfc4514_string() == f"CN={here.device}"
    assert own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert own.not_valid_after_utc.isoformat() == made["expiresAt"].replace(".000000Z", "+00:00")
    assert made["credential"]["kind"] == "CERTIFICATE"
    another = (await platform.ask(CREATE, "root", d=here.id("Device", "device"), r=certificate_request(ed25519.Ed25519PrivateKey.generate())))["it"]  # fmt: skip
    assert another["authority"] == made["authority"]
    third = (await platform.ask(CREATE, "root", d=here.id("Device", "device"), r=certificate_request()))["it"]
    assert third["code"] == "LIMIT_EXCEEDED"
    settings = await platform.services.database.rows(sa.select(m.ServerSetting.value))
    assert not any("PRIVATE" in row.value for row in settings)


async def test_an_expired_certificate_makes_room(platform: Platform) -> None:
    device = platform.world.here.id("Device", "device")
    for _ in range(2):
        await platform.ask(CREATE, "root", d=device, r=certificate_request())
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(
            sa.update(m.Credential).where(m.Credential.kind == "CERTIFICATE").values(expires_at=later(-1))
        )
    assert (await platform.ask(CREATE, "root", d=device, r=certificate_request()))["it"][
        "__typename"
    ] == "SignedCertificate"


def _broken() -> str:
    good = x509.load_pem_x509_csr(certificate_request().encode()).public_bytes(Encoding.DER)
    return ssl.DER_cert_to_PEM_cert(good[:-1] + bytes([good[-1] ^ 1])).replace("CERTIFICATE", "CERTIFICATE REQUEST")


@pytest.mark.parametrize(
    "request_",
    [
        "", "x", "x" * 10_001, certificate_request()[:200], _broken(), certificate_request(rsa.generate_private_key(65_537, 1024)),
        certificate_request(ec.generate_private_key(ec.SECP256K1())), "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
    ],
    ids=["empty", "text", "long", "cut", "wrongly_signed", "short_rsa", "other_curve", "nonsense"],
)  # fmt: skip
async def test_what_is_no_request_is_refused(platform: Platform, request_: str) -> None:
    made = (await platform.ask(CREATE, "root", d=platform.world.here.id("Device", "device"), r=request_))["it"]
    assert (made["code"], made["field"]) == ("INVALID", "request")


async def test_many_at_once_have_one_authority(platform: Platform) -> None:
    ids = [place.id("Device", "device") for place in (platform.world.here, platform.world.there)]
    made = await asyncio.gather(*(platform.ask(CREATE, "root", d=device, r=certificate_request()) for device in ids))
    assert len({one["it"]["authority"] for one in made}) == 1

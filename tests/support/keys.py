"""Keys that nobody would make."""

import base64
import struct


def large_key() -> str:
    """An RSA key of 21,154 bits in OpenSSH's format, of two primes of Mersenne's: to see that they are prime takes a
    minute."""
    p, q, e = 2**11_213 - 1, 2**9_941 - 1, 65_537
    d, inverse = pow(e, -1, (p - 1) * (q - 1)), pow(q, -1, p)
    public = _text(b"ssh-rsa") + _number(e) + _number(p * q)
    numbers = b"".join(map(_number, (p * q, e, d, inverse, p, q)))
    private = struct.pack(">II", 7, 7) + _text(b"ssh-rsa") + numbers + _text(b"")
    private += bytes(range(1, 1 + -len(private) % 8))
    kept = b"openssh-key-v1\0" + _text(b"none") * 2 + _text(b"") + struct.pack(">I", 1) + _text(public) + _text(private)
    return (
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + base64.encodebytes(kept).decode()
        + "-----END OPENSSH PRIVATE KEY-----\n"
    )


def _text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _number(value: int) -> bytes:
    return _text(value.to_bytes(value.bit_length() // 8 + 1))

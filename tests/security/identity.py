"""An identity provider on loopback: client credentials in, signed tokens out, its keys for the broker."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, unquote

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENTS = {"trail": "se:cret/+ of trail", "nobody": "secret-of-nobody"}
AUDIENCE = "kafka"


class Provider:
    """`lifetime` is that of the next tokens in seconds, negative for ones that have ended."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.lifetime = 3600
        self.requests: list[dict[str, str]] = []
        self.url = ""

    def keys(self) -> dict:
        numbers = self._key.public_key().public_numbers()
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "kid": "1",
                    "alg": "RS256",
                    "use": "sig",
                    "n": _encoded(numbers.n.to_bytes(256)),
                    "e": _encoded(numbers.e.to_bytes(3)),
                }
            ]
        }

    def token(self, subject: str, *, audience: str = AUDIENCE) -> str:
        now = int(time.time())
        header = _encoded(json.dumps({"alg": "RS256", "kid": "1", "typ": "JWT"}).encode())
        begin = now - 7200 if self.lifetime < 0 else now
        claims = {
            "sub": subject, "aud": audience, "iss": "test", "scope": "kafka",
            "iat": begin, "exp": now + self.lifetime,
        }  # fmt: skip
        payload = f"{header}.{_encoded(json.dumps(claims).encode())}"
        signature = self._key.sign(payload.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{payload}.{_encoded(signature)}"

    def answer(self, authorization: str, form: dict[str, str]) -> tuple[int, dict]:
        """What the token endpoint says."""
        self.requests.append(form)
        user, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        client = unquote(user)
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        if CLIENTS.get(client) != unquote(secret):
            return 401, {"error": "invalid_client", "error_description": "no such client, or another secret"}
        token = self.token(client)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}


@contextmanager
def serving(provider: Provider) -> Iterator[None]:
    """The provider at `provider.url` for the block.

    One thread answers all, for tests compare the threads before and after.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, provider.keys())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._send(*provider.answer(self.headers.get("Authorization", ""), form))

        def _send(self, status: int, content: dict) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")

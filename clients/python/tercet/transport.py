"""HTTP with the standard library: connections that are kept, and another try when it is busy."""
from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import threading
import time
from typing import Any, Callable, Iterable, Iterator, Optional
from urllib.parse import urlsplit

from .errors import TercetError, Unreachable, error_from

CONNECTIONS_KEPT_MAX = 8  # idle ones; as many threads as wish may ask at the same time
WAIT_FIRST_S = 0.25  # doubles with each try
WAIT_MAX_S = 10.0  # also where Retry-After asks for more


def wait_s(attempt: int, retry_after: Optional[str]) -> float:
    """What the server asks for, or twice the last wait; up to half as much again at random, so that
    clients that were turned away together do not come back together."""
    wait = WAIT_FIRST_S * float(2 ** attempt)
    if retry_after and retry_after.isdigit():
        wait = max(wait, float(retry_after))
    return min(wait, WAIT_MAX_S) * random.uniform(1, 1.5)


class Transport:
    """Any number of threads may ask."""

    def __init__(self, url: str, api_key: Optional[str], timeout_s: float, retries: int,
                 tls: Optional[ssl.SSLContext]) -> None:
        parts = urlsplit(url if "://" in url else "http://" + url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an address of http:// or https://: {url}")
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._tls = (tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._timeout_s, self._retries = timeout_s, retries
        self._headers = {"User-Agent": "tercet-python", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = "Bearer " + api_key
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def ask(self, method: str, path: str, body: object = None,
            ndjson: Optional[bytes] = None) -> Any:
        """The JSON of the answer. body: made JSON; ndjson: sent as it is."""
        stream = self.open(method, path, body, ndjson)
        try:
            return json.loads(stream.read())
        except ValueError:
            raise TercetError("not_json", "the answer is no JSON: is this a Tercet server?", None,
                              stream.status) from None

    def open(self, method: str, path: str, body: object = None,
             ndjson: Optional[bytes] = None) -> "Stream":
        """The same, to be read as it comes."""
        attempt = 0
        while True:
            answer, connection = self._send(method, path, body, ndjson)
            stream = Stream(self, connection, answer)
            if answer.status < 300:
                return stream
            data = stream.read()
            if answer.status != 503 or attempt == self._retries:
                raise error_from(answer.status, data)
            time.sleep(wait_s(attempt, answer.getheader("Retry-After")))
            attempt += 1

    def _send(self, method: str, path: str, body: object, ndjson: Optional[bytes]
              ) -> "tuple[http.client.HTTPResponse, http.client.HTTPConnection]":
        headers = dict(self._headers)
        data = ndjson
        if ndjson is not None:
            headers["Content-Type"] = "application/x-ndjson"
        elif body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        while True:
            connection, is_kept = self._take()
            try:
                try:
                    connection.request(method, self._base + path, data, headers)
                except BrokenPipeError:
                    pass  # refused before all was sent; the answer says why
                return connection.getresponse(), connection
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # The server closes what is idle for long, and one of ours may find that out only
                # now. Nothing was answered, and every request of Tercet may be sent twice.
                if is_kept and isinstance(error, ConnectionError):
                    continue
                what = "timeout" if isinstance(error, socket.timeout) else "unreachable"
                raise Unreachable(what, f"{self._host}: {error!r}") from error

    def _take(self) -> "tuple[http.client.HTTPConnection, bool]":
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
        if self._tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s,
                                               context=self._tls), False
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s), False

    def give_back(self, connection: http.client.HTTPConnection,
                   answer: http.client.HTTPResponse) -> None:
        if not answer.will_close:
            with self._lock:
                if len(self._idle) < CONNECTIONS_KEPT_MAX:
                    self._idle.append(connection)
                    return
        connection.close()


class Stream:
    """An answer that is still coming. Its connection is kept once all of it was read."""

    def __init__(self, transport: Transport, connection: http.client.HTTPConnection,
                 answer: http.client.HTTPResponse) -> None:
        self._transport, self._connection, self._answer = transport, connection, answer
        self.status = answer.status

    def read(self) -> bytes:
        return b"".join(self._parts(lambda: iter((self._answer.read(),))))

    def lines(self) -> Iterator[bytes]:
        """With their ends."""
        return self._parts(lambda: self._answer)

    def _parts(self, parts: "Callable[[], Iterable[bytes]]") -> Iterator[bytes]:
        try:
            yield from parts()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable("broken_off", f"the answer broke off: {error!r}") from error
        self._answer.close()
        self._transport.give_back(self._connection, self._answer)

    def close(self) -> None:
        """Before its end: the server notices, and stops working on it."""
        self._connection.close()
        self._answer.close()

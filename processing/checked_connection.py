"""Connections to public addresses only, with one deadline for everything."""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from typing import Any

from huggingface_hub.utils import httpx

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddressError(ValueError):
    """A host name that leads to an address that is not public."""


class Deadline:
    """The time limit of a download.

    Args:
        seconds: Seconds from now.
    """

    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: If none are.
        """
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline is over")
        return left


class CheckedConnection(http.client.HTTPConnection):
    """An HTTP connection that looks a name up once, checks the addresses, and connects to one of these.

    Args:
        host: Name or address of the server.
        port: Its port; None means that of the protocol.
        secure: Whether to use TLS.
        deadline: The deadline for everything that this connection does.
        allow_private: Whether addresses that are not public are allowed.
    """

    def __init__(self, host: str, port: int | None, secure: bool, deadline: Deadline, allow_private: bool):
        self.default_port = http.client.HTTPS_PORT if secure else http.client.HTTP_PORT
        super().__init__(host, port or self.default_port)
        self.secure, self.deadline, self.allow_private = secure, deadline, allow_private

    def connect(self) -> None:
        """Connect to the first address that answers.

        Raises:
            OSError: If the name is unknown, or no address answers.
            PrivateAddressError: If an address is not public.
            TimeoutError: If the deadline is over.
        """
        found = _look_up(self.host, self.port, self.deadline)
        for *_, address in found:
            if not (self.allow_private or is_public(address[0])):
                raise PrivateAddressError(address[0])
        for number, (family, kind, protocol, _, address) in enumerate(found):
            self.sock = _TimedSocket(family, kind, protocol)
            self.sock.deadline = self.deadline
            try:
                self.sock.settimeout(self.deadline.remaining() / (len(found) - number))
                self.sock.connect(address)
                break
            except OSError:
                self.sock.close()
                if number == len(found) - 1:
                    raise
        self.sock.settimeout(self.deadline.remaining())
        if self.secure:
            context = httpx.create_ssl_context()
            context.sslsocket_class = _TimedTLSSocket
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)
            self.sock.deadline = self.deadline


class _Timed:
    """A socket whose reads end at its deadline, however slowly bytes arrive."""

    deadline: Deadline

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(self.deadline.remaining())
        return super().recv_into(*arguments)


class _TimedSocket(_Timed, socket.socket):
    pass


class _TimedTLSSocket(_Timed, ssl.SSLSocket):
    pass


def is_public(address: str) -> bool:
    """Return whether an IP address is on the public internet.

    Args:
        address: An IPv4 or IPv6 address. Of an IPv6 address that embeds an IPv4 address (IPv4-mapped, NAT64, 6to4,
            Teredo), both must be public.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if ip.version == 4:
        return ip.is_global and not ip.is_multicast
    if ip.ipv4_mapped is not None:
        return is_public(str(ip.ipv4_mapped))
    if ip in NAT64:
        return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    embedded = [ip.sixtofour, *(ip.teredo or ())]
    return ip in GLOBAL_UNICAST and ip.is_global and all(is_public(str(part)) for part in embedded if part is not None)


def _look_up(host: str, port: int, deadline: Deadline) -> list[tuple]:
    """Return the addresses of a host as `socket.getaddrinfo` does, which has no time limit of its own."""
    result: list[Any] = []

    def look_up() -> None:
        try:
            result.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            result.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.remaining())
    if not result:
        raise TimeoutError("the name look-up did not end")
    if isinstance(result[0], Exception):
        raise OSError(f"the host {host!r} is not known ({result[0]})") from result[0]
    return result[0]

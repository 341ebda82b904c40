"""Whether a host means this machine alone."""

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Tell by the spelling, without asking a name server: ``localhost`` and names below it, 127.0.0.0/8, ``::1``."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def leads_to_loopback(host: str) -> bool:
    """Tell by spelling or, for a name, by asking the name server: all its addresses must be this machine's.

    It may block for as long as the name server takes.
    """
    if is_loopback(host):
        return True
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(is_loopback(address) for address in found)

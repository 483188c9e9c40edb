"""Which addresses may be fetched from: those of hosts on the public internet, by an explicit table.

`ipaddress.is_global` is not asked: CPython 3.11 has it true for ff02::1, 64:ff9b::7f00:1 (127.0.0.1 behind a NAT64) and
others, and each release has another table.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple


class Refused(NamedTuple):
    """A network without hosts that may be fetched from."""

    network: IPv4Network | IPv6Network
    purpose: str
    source: str


def _row(network: str, purpose: str, source: str) -> Refused:
    return Refused(IPv6Network(network) if ":" in network else IPv4Network(network), purpose, source)


REFUSED = (
    # IANA's IPv4 Special-Purpose Address Registry, whole, and what lies beside it.
    _row("0.0.0.0/8", "this network", "RFC 791, section 3.2"),
    _row("10.0.0.0/8", "private", "RFC 1918"),
    _row("100.64.0.0/10", "shared with a carrier; 100.100.100.200 is Alibaba's metadata", "RFC 6598"),
    _row("127.0.0.0/8", "loopback", "RFC 1122, section 3.2.1.3"),
    _row("168.63.129.16/32", "Azure's metadata and agents, on an address that looks public", "Microsoft"),
    _row("169.254.0.0/16", "link-local; 169.254.169.254 is most clouds' metadata", "RFC 3927"),
    _row("172.16.0.0/12", "private", "RFC 1918"),
    _row("192.0.0.0/24", "protocol assignments; 192.0.0.192 is Oracle's metadata", "RFC 6890, section 2.1"),
    _row("192.0.2.0/24", "documentation", "RFC 5737"),
    _row("192.31.196.0/24", "AS112", "RFC 7535"),
    _row("192.52.193.0/24", "multicast tunnels", "RFC 7450"),
    _row("192.88.99.0/24", "relays of 6to4", "RFC 7526"),
    _row("192.168.0.0/16", "private", "RFC 1918"),
    _row("192.175.48.0/24", "AS112", "RFC 7534"),
    _row("198.18.0.0/15", "benchmarks", "RFC 2544"),
    _row("198.51.100.0/24", "documentation", "RFC 5737"),
    _row("203.0.113.0/24", "documentation", "RFC 5737"),
    _row("224.0.0.0/4", "multicast", "RFC 5771"),
    _row("240.0.0.0/4", "reserved, with the broadcast address", "RFC 1112, section 4; RFC 919"),
    # IPv6 has hosts in 2000::/3 alone (RFC 4291, section 2.4, and IANA's registry of the address space). The rest has
    # loopback, IPv4-compatible addresses, 64:ff9b:1::/48, 100::/64, 5f00::/16, fc00::/7 with fd00:ec2::254 (Amazon's
    # metadata), fe80::/10, fec0::/10 and ff00::/8.
    _row("::/3", "no host's: loopback, IPv4-compatible, local NAT64, discarded", "RFC 4291; RFC 8215; RFC 6666"),
    _row("4000::/2", "no host's: identifiers of segment routing", "RFC 4291; RFC 9602"),
    _row("8000::/1", "no host's: private, link-local, site-local, multicast", "RFC 4193; RFC 4291; RFC 3879"),
    # IANA's IPv6 Special-Purpose Address Registry, as far as it lies within 2000::/3.
    _row("2001::/23", "protocol assignments: Teredo, benchmarks, ORCHID and others", "RFC 2928; RFC 4380"),
    _row("2001:db8::/32", "documentation", "RFC 3849"),
    _row("2002::/16", "6to4", "RFC 3056"),
    _row("2620:4f:8000::/48", "AS112", "RFC 7534"),
    _row("3fff::/20", "documentation", "RFC 9637"),
)

# What stands for an IPv4 address, which then decides. The others that hold one (IPv4-compatible, 6to4, Teredo,
# 64:ff9b:1::/48) are refused whole, above.
_IPV4_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291, section 2.5.5.2: the system connects to the IPv4 address
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: how hosts without IPv4 reach all that have nothing else
_ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214, section 6.1: the identifier's upper half, in any prefix


def may_be_fetched(address: str) -> bool:
    """Tell whether an address, as a socket is about to connect to it, is that of a host on the public internet."""
    if "%" in address:
        return False  # a zone's identifier: link-local
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        ipv4 = IPv4Address(int(parsed) & 0xFFFFFFFF)
        if parsed in _IPV4_MAPPED or parsed in _NAT64:
            parsed = ipv4
        elif int(parsed) >> 32 & 0xFFFFFFFF in _ISATAP and _is_refused(ipv4):
            return False
    return not _is_refused(parsed)


def _is_refused(address: IPv4Address | IPv6Address) -> bool:
    return any(address in row.network for row in REFUSED)

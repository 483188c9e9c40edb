"""Which addresses may be fetched from."""

from __future__ import annotations

import ipaddress

import pytest

from nsfw_caffe.service.addresses import REFUSED, may_be_fetched

PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2003::1",
    "2606:4700::1111",
    "2a00:1450:4001:82a::200e",
    "3ffe::1",
    "::ffff:1.1.1.1",
    "64:ff9b::1.1.1.1",
    "2606:4700::5efe:1.1.1.1",
]

REFUSED_ADDRESSES = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::1.1.1.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:0:0:1::1.1.1.1",
    "64:ff9b:1::7f00:1",
    "64:ff9b:1:fffe::1.1.1.1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:101:101::1",
    "2620:4f:8000::1",
    "2606:4700::5efe:127.0.0.1",
    "2606:4700::200:5efe:10.0.0.1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00::2",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::7%eth0",
    "fe80::5efe:127.0.0.1",
    "fec0::1",
    "ff02::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address(address: str) -> None:
    assert may_be_fetched(address)


@pytest.mark.parametrize("address", REFUSED_ADDRESSES)
def test_an_address_that_is_refused(address: str) -> None:
    assert not may_be_fetched(address)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: str(row.network))
def test_a_network_is_refused_from_end_to_end_and_has_its_source(row: object) -> None:
    assert isinstance(row, REFUSED[0].__class__)
    assert not may_be_fetched(str(row.network[0]))
    assert not may_be_fetched(str(row.network[-1]))
    assert row.purpose
    assert row.source


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: str(row.network))
def test_every_row_is_needed(row: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, one of the addresses above would be let through."""
    monkeypatch.setattr("nsfw_caffe.service.addresses.REFUSED", [other for other in REFUSED if other is not row])
    assert any(map(may_be_fetched, REFUSED_ADDRESSES))


def test_nothing_that_python_knows_to_be_within_is_let_through() -> None:
    """The table is this library's own; where the standard library's says "not global", it has to agree."""
    sampled = [
        f"{first}.{second}.{third}.7" for first in range(256) for second in range(0, 256, 5) for third in (0, 99)
    ]
    sampled += [f"{first:x}::7" for first in range(0, 1 << 16, 7)]
    let_through = [address for address in sampled if may_be_fetched(address)]
    assert len(let_through) > 10_000
    assert [address for address in let_through if not ipaddress.ip_address(address).is_global] == []


def test_what_is_no_address_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"127\.1"):
        may_be_fetched("127.1")

"""Which addresses are public (IANA special-purpose registries), in every notation that a URL has for them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from forbear.crawler.fetch.network import Guard, NotPublic, is_public, parse_pin

NOT_PUBLIC = [
    ("RFC 791 3.2", "0.0.0.0"),
    ("RFC 791 3.2", "0.1.2.3"),
    ("RFC 1918", "10.0.0.1"),
    ("RFC 1918", "172.16.0.1"),
    ("RFC 1918", "172.31.255.255"),
    ("RFC 1918", "192.168.0.1"),
    ("RFC 6598", "100.64.0.1"),
    ("RFC 6598", "100.127.255.255"),
    ("RFC 1122 3.2.1.3", "127.0.0.1"),
    ("RFC 1122 3.2.1.3", "127.255.255.254"),
    ("RFC 3927", "169.254.169.254"),
    ("RFC 6890", "192.0.0.8"),
    ("RFC 5737", "192.0.2.1"),
    ("RFC 5737", "198.51.100.1"),
    ("RFC 5737", "203.0.113.1"),
    ("RFC 7526", "192.88.99.1"),
    ("RFC 2544", "198.18.0.1"),
    ("RFC 2544", "198.19.255.255"),
    ("RFC 5771", "224.0.0.1"),
    ("RFC 5771", "239.255.255.250"),
    ("RFC 1112", "240.0.0.1"),
    ("RFC 919", "255.255.255.255"),
    ("RFC 4291 2.5.2", "::"),
    ("RFC 4291 2.5.3", "::1"),
    ("RFC 4291 2.5.5.1, compatible", "::127.0.0.1"),
    ("RFC 4291 2.5.5.1, compatible", "::8.8.8.8"),
    ("RFC 4291 2.5.5.2, mapped", "::ffff:127.0.0.1"),
    ("RFC 4291 2.5.5.2, mapped", "::ffff:a9fe:a9fe"),
    ("RFC 2765, translated", "::ffff:0:10.0.0.1"),
    ("RFC 6052, NAT64", "64:ff9b::10.0.0.1"),
    ("RFC 6052, NAT64", "64:ff9b::7f00:1"),
    ("RFC 8215, local NAT64", "64:ff9b:1::8.8.8.8"),
    ("RFC 3056, 6to4", "2002:7f00:1::"),
    ("RFC 3056, 6to4", "2002:808:808::1"),
    ("RFC 4380, Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    ("RFC 5180, benchmarking", "2001:2::1"),
    ("RFC 7343, ORCHID", "2001:20::1"),
    ("RFC 3849, documentation", "2001:db8::1"),
    ("RFC 9637, documentation", "3fff::1"),
    ("RFC 9602, SRv6", "5f00::1"),
    ("RFC 6666, discard", "100::1"),
    ("RFC 4193", "fc00::1"),
    ("RFC 4193", "fd12:3456:789a::1"),
    ("RFC 4291 2.5.6", "fe80::1"),
    ("RFC 4007 11", "fe80::1%eth0"),
    ("RFC 4007 11", "2606:4700::1%eth0"),
    ("RFC 3879, site-local", "fec0::1"),
    ("RFC 4291 2.7", "ff02::1"),
    ("RFC 4291 2.7", "ff0e::1"),
    ("RFC 4291 2.4, unassigned", "4000::1"),
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.0.1",
    "223.255.255.254",
    "2606:4700:4700::1111",
    "2001:200::1",
    "2a00:1450::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]

LOCAL_URLS = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://0x7f.1/",
    "http://0x7f000001/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.01/",
    "http://127.0.0.1./",
    "http://１２７.0.0.1/",  # noqa: RUF001 fullwidth digits, mapped by UTS 46
    "http://127。0。0。1/",
    "http://%31%32%37.0.0.1/",
    "http://0/",
    "http://[::]/",
    "http://[::1]:8080/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://user:pass@10.0.0.1/",
    "http://example.org@192.168.1.1/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://a.localhost/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://router.home.arpa/",
    "https://nas.lan/",
    "https://intranet/",
    "https://localhost.localdomain/",
]


@pytest.mark.parametrize(("section", "address"), NOT_PUBLIC)
def test_not_public(section: str, address: str) -> None:
    assert not is_public(address), section
    assert not Guard().allows(address)


LINK_LOCAL = [
    *("169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"),
    *("::ffff:a9fe:a9fe", "::ffff:169.254.169.254%eth0", "::169.254.169.254", "::ffff:0:a9fe:a9fe"),
    *("64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1:0:a9:fea9:fe00:0"),
    *("2002:a9fe:a9fe::", "2002:a9fe:a9fe::1", "2001:0:808:808::5601:5601", "2001:0:a9fe:a9fe::1"),
    *("2606:4700::5efe:a9fe:a9fe", "fd00::200:5efe:169.254.169.254"),
]


@pytest.mark.parametrize("address", [address for _, address in NOT_PUBLIC])
def test_the_flag_lets_in_all_but_link_local(address: str) -> None:
    """The metadata service of a cloud is there, and gives keys to any client inside."""
    assert Guard(allow_private=True).allows(address) is (address not in LINK_LOCAL)


@pytest.mark.parametrize("address", LINK_LOCAL)
def test_link_local_is_never_fetched(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert not is_public(address)
    assert not Guard(allow_private=True).allows(address)
    if "%" not in address:  # a URL has no zone (WHATWG URL 3.5)
        with pytest.raises(NotPublic):
            Guard(allow_private=True).check_literal(f"http://{host}/")


METADATA = [
    *("100.100.100.200", "::ffff:100.100.100.200", "64:ff9b::6464:64c8", "192.0.0.192", "168.63.129.16"),
    *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42"),
    *("2002:6464:64c8::1", "::168.63.129.16", "64:ff9b:1::6464:64c8", "2001:0:808:808::9b9b:9b37"),
]


@pytest.mark.parametrize("address", METADATA)
def test_metadata_of_a_cloud_is_never_fetched(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    for guard in (Guard(), Guard(allow_private=True)):
        assert not guard.allows(address)
        with pytest.raises(NotPublic):
            guard.check_literal(f"http://{host}/latest/meta-data/")
        with pytest.raises(NotPublic):
            lookup(guard, address)


METADATA_NAMES = [
    *("metadata.google.internal", "METADATA.google.internal.", "metadata", "instance-data", "metadata.azure.internal"),
    *("metadata.goog", "Metadata.GOOG.", "x.metadata.goog", "metadata.tencentyun.com", "a.b.metadata.tencentyun.com."),
    *("instance-data.ec2.internal", "INSTANCE-DATA.eu-west-1.compute.internal.", "api.metadata.cloud.ibm.com"),
]


@pytest.mark.parametrize("host", METADATA_NAMES)
def test_nor_is_it_by_name(host: str) -> None:
    """Through a proxy there is nothing but the name to go by."""
    for allow_private in (False, True):
        for by_proxy in (False, True):
            with pytest.raises(NotPublic):
                Guard(allow_private=allow_private).check_literal(f"http://{host}/", by_proxy=by_proxy)


INSIDE = [
    *("kubernetes.default.svc", "a.svc.cluster.local", "KUBERNETES.default.SVC.", "kubernetes"),
    *("consul.service.consul", "a.test", "a.onion", "a.intra", "a.internal", "a.alt", "nas.lan", "a.b.corp", "x.home"),
    *("printer.local", "router.home.arpa", "wiki.intranet", "host.docker.internal", "a.docker", "db.cluster"),
]
UNDELEGATED = [
    "kubernetes.default",
    "a.example1",
    "db.stage",
    "a.kube",
    "vault.dc1",
    "xn--bcher-kva.xn--bcher-kva",
    "a.bücher",
    "a.invalid",
    "a.b..",
]
OUTSIDE = [
    *("x.goog", "notmetadata.goog", "metadata.example", "tencentyun.com", "cloud.ibm.com"),
    "a.example",
    "a.com",
    "a.co.uk",
    "A.DE.",
    "пример.рф",
    "a.xn--p1ai",
    "例え.みんな",
    "a.b.github.io",
    "a.museum",
]


def test_a_name_that_exists_inside_alone_is_refused_by_name() -> None:
    for host in INSIDE:
        for by_proxy in (False, True):
            with pytest.raises(NotPublic):
                Guard().check_literal(f"http://{host}/", by_proxy=by_proxy)
    for host in UNDELEGATED:  # where no proxy is between, its addresses are looked at
        Guard().check_literal(f"http://{host}/")
        with pytest.raises(NotPublic):
            Guard().check_literal(f"http://{host}/", by_proxy=True)
    for host in OUTSIDE:
        Guard().check_literal(f"http://{host}/", by_proxy=True)
    for host in (*INSIDE, *UNDELEGATED, *OUTSIDE):
        Guard(allow_private=True).check_literal(f"http://{host}/", by_proxy=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["", "example.org", "1.2.3", "0x7f.0.0.1"])
def test_what_is_not_an_address_is_not_judged(address: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        is_public(address)


@pytest.mark.parametrize("url", LOCAL_URLS)
def test_a_url_that_names_a_place_nearby(url: str) -> None:
    with pytest.raises(NotPublic, match="not on the public Internet"):
        Guard().check_literal(url)
    if "169.254" not in url and "metadata" not in url:
        Guard(allow_private=True).check_literal(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://8.8.8.8/",
        "https://[2606:4700::1]/",
        "https://local.example/",
        "https://arpa.net.",
    ],
)
def test_a_url_that_names_a_public_place(url: str) -> None:
    Guard().check_literal(url)


@pytest.mark.parametrize(
    ("pin", "key", "addresses"),
    [
        ("a.example:80:192.0.2.1", ("a.example", "80"), ("192.0.2.1",)),
        ("A.Example.:80:192.0.2.1", ("a.example", "80"), ("192.0.2.1",)),
        ("*:443:::1", ("*", "443"), ("::1",)),
        ("a.example:*:[2001:db8::1]", ("a.example", "*"), ("2001:db8::1",)),
        ("*:*:127.0.0.1,[::1]", ("*", "*"), ("127.0.0.1", "::1")),
    ],
)
def test_a_pin(pin: str, key: tuple[str, str], addresses: tuple[str, ...]) -> None:
    assert parse_pin(pin) == (key, addresses)


@pytest.mark.parametrize(
    "pin",
    [
        *("", "a.example", "a.example:80", "a.example:80:", ":80:1.1.1.1", "a:b:127.0.0.1", "a:0:1.1.1.1"),
        *("a:70000:1.1.1.1", "a:80:b.example", "a:80:1.1.1.1,", "a:80:1.1.1.1,x"),
    ],
)
def test_a_broken_pin_is_named(pin: str) -> None:
    with pytest.raises(ValueError, match=r"form HOST:PORT:ADDRESS|not an IP address|not a port"):
        Guard(resolve=[pin])


def lookup(guard: Guard, host: str, port: int = 80) -> list[str]:
    return asyncio.run(guard.lookup(host, port))


def test_the_nearest_pin_wins() -> None:
    pins = ["*:*:1.1.1.1", "*:80:1.1.1.2", "a.example:*:1.1.1.3", "a.example:80:1.1.1.4"]
    guard = Guard(resolve=pins)
    asked = [("a.example", 80), ("A.EXAMPLE.", 80), ("a.example", 81), ("b.example", 80), ("b.example", 81)]
    assert [lookup(guard, *each)[0][-1] for each in asked] == ["4", "4", "3", "2", "1"]
    assert lookup(guard, "8.8.8.8") == ["8.8.8.8"]


def test_a_pin_to_a_private_address_needs_the_flag() -> None:
    with pytest.raises(NotPublic, match=r"a\.example has the address 127\.0\.0\.1"):
        lookup(Guard(resolve=["a.example:80:127.0.0.1"]), "a.example")
    assert lookup(Guard(resolve=["a.example:80:127.0.0.1"], allow_private=True), "a.example") == ["127.0.0.1"]


def test_only_the_public_addresses_of_a_name_are_left() -> None:
    guard = Guard(resolve=["a.example:80:127.0.0.1,8.8.8.8,::1"])
    assert lookup(guard, "a.example") == ["8.8.8.8"]


def test_a_name_that_the_system_resolves_to_loopback() -> None:
    with pytest.raises(NotPublic):
        lookup(Guard(), "localhost")


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".example", "a..example"])
def test_a_name_that_nobody_knows(host: str) -> None:
    with pytest.raises(socket.gaierror):
        lookup(Guard(), host)


def test_no_socket_for_an_address_that_is_not_public() -> None:
    """The last line of defence: whatever found the address, the socket for it is not made."""
    address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))
    with pytest.raises(NotPublic):
        Guard().open_socket(address)
    Guard(allow_private=True).open_socket(address).close()

"""The parts of scripts/make-capture.sh that no common tool has: a small DNS server and client, VLAN interfaces for
kernels without 802.1Q, datagrams with options and fragments, and malformed frames. Each is a subcommand."""

import fcntl
import os
import select
import socket
import struct
import sys

NAMES = ["www.example.com", "mail.example.com", "api.example.org", "cdn.example.net", "db.internal.example"]


def dns_question(identifier, name, kind):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


def dns_answer(query):
    identifier = struct.unpack_from("!H", query)[0]
    question = query[12:]
    kind = struct.unpack_from("!H", question, len(question) - 4)[0]
    if b"internal" in question:
        return struct.pack("!6H", identifier, 0x8183, 1, 0, 0, 0) + question  # no such name
    if kind == 28:
        address = socket.inet_pton(socket.AF_INET6, "2001:db8::80")
    else:
        address = socket.inet_aton("192.0.2.80")
    record = struct.pack("!3HIH", 0xC00C, kind, 1, 300, len(address)) + address
    return struct.pack("!6H", identifier, 0x8180, 1, 1, 0, 0) + question + record


def dns_server():
    """Answers on the addresses that it was asked on, so that replies come from there."""
    sockets = []
    for address in ("192.0.2.1", "198.51.100.10", "2001:db8::1", "10.100.0.1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind((address, 53))
        echo = socket.socket(family, socket.SOCK_DGRAM)
        echo.bind((address, 7))
        sockets += [server, echo]
    while True:
        for ready in select.select(sockets, [], [])[0]:
            data, peer = ready.recvfrom(65535)
            ready.sendto(dns_answer(data) if ready.getsockname()[1] == 53 else data, peer)


def dns_client(server, source, count):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.bind((source, 0))
    client.settimeout(2)
    for i in range(int(count)):
        client.sendto(dns_question(i + 1, NAMES[i % len(NAMES)], 28 if i % 3 == 2 else 1), (server, 53))
        client.recvfrom(4096)


def datagrams():
    """UDP echo: datagrams larger than a frame, with IPv4 options, with IPv6 extension headers."""

    def echo(server, size, option=None):
        client = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(2)
        if option:
            client.setsockopt(*option)
        client.sendto(bytes(i & 255 for i in range(size)), (server, 7))
        client.recvfrom(65535)

    for size in (2000, 4000, 8000):
        for server in ("192.0.2.1", "198.51.100.10", "2001:db8::1"):
            echo(server, size)
    padding = bytes([0, 0, 1, 4, 0, 0, 0, 0])
    for size in (16, 64, 500, 3000):
        echo("192.0.2.1", size, (socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1, 1, 1, 1, 1, 1, 1, 0])))
        echo("2001:db8::1", size, (socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, padding))
        echo("2001:db8::1", size, (socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, padding))


TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING, TAG_IS_THERE, TPID_IS_THERE = 263, 8, 4, 0x10, 0x40


def vlan(trunk, *names):
    """For each name (vlan100, or vlan200.300 for a tag within a service tag) a tap device; what is sent on it goes out
    on `trunk` with its tags, what comes in on `trunk` with just these tags comes out of it."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    raw.bind((trunk, 3))
    raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    taps = {}
    for name in names:
        ids = [int(part) for part in name.removeprefix("vlan").split(".")]
        kinds = [0x8100] if len(ids) == 1 else [0x88A8, 0x8100]
        tags = b"".join(struct.pack("!2H", kind, number) for kind, number in zip(kinds, ids))
        tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        taps[tap] = tags
    print("ready", flush=True)
    while True:
        for ready in select.select([raw, *taps], [], [])[0]:
            if ready is not raw:
                frame = os.read(ready, 65535)
                raw.send(frame[:12] + taps[ready] + frame[12:])
                continue
            frame, extra, _, address = raw.recvmsg(65535, 256)
            if address[2] == PACKET_OUTGOING:
                continue
            for level, kind, data in extra:  # the kernel took the outer tag off and tells it here
                if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                    status, _, _, _, _, tci, tpid = struct.unpack("3I4H", data)
                    if status & TAG_IS_THERE:
                        tag = struct.pack("!2H", tpid if status & TPID_IS_THERE else 0x8100, tci)
                        frame = frame[:12] + tag + frame[12:]
            for tap, tags in taps.items():
                rest = frame[12 + len(tags) :]
                if frame[12:].startswith(tags) and rest[:2] not in (b"\x81\x00", b"\x88\xa8"):
                    try:
                        os.write(tap, frame[:12] + rest)
                    except OSError:
                        pass  # the device is not up yet


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def malformed(interface):
    """Frames that a program must not trust: cut short, contradicting themselves, or merely strange."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((interface, 0))
    macs = bytes.fromhex("020000000002" "020000000001")
    source, server = socket.inet_aton("192.0.2.66"), socket.inet_aton("192.0.2.1")
    source6 = socket.inet_pton(socket.AF_INET6, "2001:db8::66")
    server6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1")

    def frame(ethertype, body=b""):
        raw.send(macs + struct.pack("!H", ethertype) + body)

    def ipv4(body=b"", first=0x45, total=None, protocol=17, offset=0, bad_sum=0):
        total = 20 + len(body) if total is None else total
        head = struct.pack("!BBHHHBBH", first, 0, total, 0x4D41, offset, 64, protocol, 0) + source + server
        return head[:10] + struct.pack("!H", checksum(head) ^ bad_sum) + head[12:] + body

    def ipv6(body=b"", following=17, length=None):
        length = len(body) if length is None else length
        return struct.pack("!IHBB", 0x60000000, length, following, 64) + source6 + server6 + body

    def udp(body=b"", length=None):
        return struct.pack("!4H", 6666, 80, 8 + len(body) if length is None else length, 0) + body

    tcp = struct.pack("!2H2IBBHHH", 6666, 80, 1, 0, 0x50, 2, 1024, 0, 0)
    for size in (0, 1, 5, 19):  # within the IPv4 header
        frame(0x0800, ipv4(udp())[:size])
    for size in (20, 24, 27):  # within the UDP header
        frame(0x0800, ipv4(udp())[:size])
        frame(0x0800, ipv4(udp()[: size - 20]))
    for size in (4, 12, 19):  # within the TCP header
        frame(0x0800, ipv4(tcp[:size], protocol=6))
    frame(0x0800, ipv4(tcp[:12] + b"\x30" + tcp[13:], protocol=6))  # data offset below the header's size
    frame(0x0800, ipv4(tcp[:12] + b"\xf0" + tcp[13:], protocol=6))  # data offset beyond the packet
    for first in (0x44, 0x40, 0x4F, 0x55, 0x65):  # header length too small, beyond the packet; wrong version
        frame(0x0800, ipv4(udp(b"wrong"), first=first))
    for total in (0, 19, 24, 200, 65535):  # total length
        frame(0x0800, ipv4(udp(b"wrong"), total=total))
    for length in (0, 7, 100, 65535):  # UDP length
        frame(0x0800, ipv4(udp(b"wrong", length=length)))
    frame(0x0800, ipv4(udp(b"bad sum"), bad_sum=0x1111))
    for offset in (0x2000, 0x0001, 0x1FFF, 0x3FFF, 0x8000):  # fragments that never meet, the evil bit
        frame(0x0800, ipv4(udp(b"fragment")[:16], offset=offset))
    for size in (0, 8, 39):  # within the IPv6 header
        frame(0x86DD, ipv6(udp())[:size])
    frame(0x86DD, ipv6(udp(b"wrong"), length=1000))
    frame(0x86DD, ipv6(udp(b"wrong"), length=0))
    options = bytes([60, 0, 1, 4, 0, 0, 0, 0])
    for count in (1, 3, 7, 8, 20):  # chains of destination options
        chain = options * (count - 1) + b"\x11" + options[1:]
        frame(0x86DD, ipv6(chain + udp(b"chain"), following=60))
    frame(0x86DD, ipv6(bytes([17, 255, 1, 4, 0, 0, 0, 0]), following=0))  # an extension longer than the packet
    frame(0x86DD, ipv6(b"\x11", following=0))
    frame(0x86DD, ipv6(bytes([17, 0, 0, 0, 0]), following=44))  # within the fragment header
    frame(0x86DD, ipv6(bytes([17, 0, 0, 9, 0, 0, 0, 1]) + b"later fragment", following=44))
    frame(0x86DD, ipv6(bytes([6, 4, 0, 0]) + bytes(20) + tcp, following=51))  # authentication header
    frame(0x86DD, ipv6(following=59))  # no next header
    frame(0x8100)  # a tag that is not there
    frame(0x8100, b"\0\x64")
    frame(0x8100, b"\0\x64\x08\0" + ipv4(udp(b"tagged"), total=999))
    frame(0x8100, b"\0\x01\x81\0\0\x02\x81\0\0\x03\x08\0" + ipv4(udp(b"three tags")))
    frame(0x88A8, b"\0\xc8\x81\0\x01\x2c\x86\xdd" + ipv6(udp(b"double"))[:30])
    frame(0x88B5, b"local experimental ethertype")
    frame(0x0026, b"\x42\x42\x03" + bytes(35))  # IEEE 802.3: a length, not a type
    for protocol in (2, 47, 50, 132, 255):  # other protocols
        frame(0x0800, ipv4(b"other protocol", protocol=protocol))


if __name__ == "__main__":
    {"dns-server": dns_server, "dns": dns_client, "datagrams": datagrams, "vlan": vlan, "malformed": malformed}[
        sys.argv[1]
    ](*sys.argv[2:])

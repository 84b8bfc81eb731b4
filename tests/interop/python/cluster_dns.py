"""Sends this process's lookups of in-cluster names to a cluster's name server, as in a pod.

The system's resolver cannot be pointed at a port of its own, so Python's look-up is replaced, and gRPC,
which has a resolver of its own, is told the server in its target.
"""

import ipaddress
import secrets
import socket
import struct

SUFFIX = ".svc.cluster.local"
ATTEMPTS = 3


def use(server):
    """`server` is HOST:PORT."""
    host, _, port = server.rpartition(":")
    address = (host, int(port))
    system = socket.getaddrinfo

    def getaddrinfo(name, service, *rest, **named):
        text = name.decode() if isinstance(name, bytes) else name
        if text is None or not text.rstrip(".").endswith(SUFFIX):
            return system(name, service, *rest, **named)
        found = []
        for ip in lookup(address, text):
            found += system(ip, service, *rest, **named)
        return found

    socket.getaddrinfo = getaddrinfo
    point_grpc_to(server)


def point_grpc_to(server):
    try:
        import grpc
        import grpc.aio
    except ImportError:
        return
    for module in (grpc, grpc.aio):
        module.insecure_channel = asking(server, module.insecure_channel)


def asking(server, original):
    def insecure_channel(target, *rest, **named):
        if target.rpartition(":")[0].endswith(SUFFIX):
            target = f"dns://{server}/{target}"
        return original(target, *rest, **named)

    return insecure_channel


def lookup(server, name):
    """The IPv4 addresses of a name."""
    number = secrets.randbits(16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    question = labels + b"\0" + struct.pack("!HH", 1, 1)
    message = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + question
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.settimeout(1)
        for _ in range(ATTEMPTS):
            asked.sendto(message, server)
            try:
                answer = asked.recv(4096)
            except TimeoutError:
                continue
            if answer[:2] == message[:2]:
                return addresses(answer, name)
    raise socket.gaierror(socket.EAI_AGAIN, f"no answer about {name}")


def addresses(answer, name):
    flags, _, count = struct.unpack("!HHH", answer[2:8])
    place = skip_name(answer, 12) + 4
    found = []
    for _ in range(count):
        place = skip_name(answer, place)
        kind, _, _, length = struct.unpack("!HHIH", answer[place : place + 10])
        place += 10
        if kind == 1:
            found.append(str(ipaddress.IPv4Address(answer[place : place + length])))
        place += length
    if flags & 0xF or not found:
        raise socket.gaierror(socket.EAI_NONAME, f"no address of {name}")
    return found


def skip_name(answer, place):
    while answer[place]:
        if answer[place] & 0xC0:
            return place + 2
        place += answer[place] + 1
    return place + 1

"""Listens on ports, or tries to connect.

usage: reach.py listen PORT...          TCP and UDP; says "listening" and goes on
       reach.py try < lines             of the form "PROTOCOL ADDRESS PORT"; prints those that answer
"""

import selectors
import socket
import sys
import time

TIME_LIMIT = 1.5


def listen(ports):
    waiting = selectors.DefaultSelector()
    for port in ports:
        server = socket.create_server(("0.0.0.0", port), backlog=64)
        waiting.register(server, selectors.EVENT_READ, "TCP")
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("0.0.0.0", port))
        waiting.register(server, selectors.EVENT_READ, "UDP")
    print("listening", flush=True)
    while True:
        for key, _ in waiting.select():
            if key.data == "UDP":
                said, peer = key.fileobj.recvfrom(64)
                key.fileobj.sendto(said, peer)
            else:
                key.fileobj.accept()[0].close()


def reach(lines):
    waiting = selectors.DefaultSelector()
    for line in lines:
        protocol, address, port = line.split()
        kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
        client = socket.socket(socket.AF_INET, kind)
        client.setblocking(False)
        client.connect_ex((address, int(port)))
        if protocol == "UDP":
            client.send(b"anybody there")
        event = selectors.EVENT_READ if protocol == "UDP" else selectors.EVENT_WRITE
        waiting.register(client, event, line)
    end = time.monotonic() + TIME_LIMIT
    while waiting.get_map() and time.monotonic() < end:
        for key, _ in waiting.select(end - time.monotonic()):
            waiting.unregister(key.fileobj)
            if key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                print(key.data)


if sys.argv[1] == "listen":
    listen(map(int, sys.argv[2:]))
else:
    reach([line.strip() for line in sys.stdin if line.strip()])

#!/usr/bin/env python3
"""evil.py: a tracker that lies and peers that do harm.

  evil.py tracker ADDR:PORT KIND PEER...   answers announces: with the PEERs (ADDR:PORT) where KIND is `list`, with
                                           them and numbers that are too large where it is `huge`, with garbage where it
                                           is `garbage`, with lists in lists where it is `bomb`, with a failure where it
                                           is `failure`, and never where it is `silence`
  evil.py peer ADDR:PORT KIND              shakes hands with whoever comes, claims every piece, and sends wrong bytes
                                           where KIND is `poison`, nothing where it is `frozen`"""
import os, socket, struct, sys, threading, time


def listen(at):
    host, port = at.rsplit(":", 1)
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((host, int(port)))
    server.listen(64)
    while True:
        yield server.accept()[0]


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def tracker(connection, kind, peers):
    try:
        connection.recv(4096)
        if kind == "silence":
            time.sleep(3600)
        compact = b"".join(socket.inet_aton(p.rsplit(":", 1)[0]) + struct.pack(">H", int(p.rsplit(":", 1)[1])) for p in peers)
        body = {
            "list": b"d8:intervali3600e5:peers%d:%se" % (len(compact), compact),
            "huge": b"d8:intervali%de12:min intervali-1e5:peers%d:%se" % (10 ** 30, len(compact), compact),
            "garbage": os.urandom(200),
            "bomb": b"d5:peers" + b"l" * 500_000,
            "failure": b"d14:failure reason7:go awaye",
        }[kind]
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        connection.close()
    except OSError:
        pass


def peer(connection, kind):
    try:
        theirs = exactly(connection, 68)
        # No extension, no fast messages: a peer of the plain protocol.
        connection.sendall(theirs[:20] + bytes(8) + theirs[28:48] + b"-XX0000-" + os.urandom(12))
        print("met", kind, flush=True)
        if kind == "frozen":
            connection.sendall(struct.pack(">IB", 126, 5) + b"\xff" * 125 + struct.pack(">IB", 1, 1))
            time.sleep(3600)
        pieces = int(os.environ.get("PIECES", "0"))
        field = bytearray(b"\xff" * ((pieces + 7) // 8))
        if pieces % 8:
            field[-1] = (0xFF << (8 - pieces % 8)) & 0xFF
        connection.sendall(struct.pack(">IB", len(field) + 1, 5) + bytes(field) + struct.pack(">IB", 1, 1))
        while True:
            length, = struct.unpack(">I", exactly(connection, 4))
            message = exactly(connection, length) if length else b""
            if message[:1] == b"\x06":
                piece, begin, count = struct.unpack(">III", message[1:13])
                connection.sendall(struct.pack(">IBII", 9 + count, 7, piece, begin) + os.urandom(count))
                print("poisoned", piece, flush=True)
    except (OSError, ConnectionError):
        pass


what, at, kind, *peers = sys.argv[1:]
for connection in listen(at):
    work = (tracker, (connection, kind, peers)) if what == "tracker" else (peer, (connection, kind))
    threading.Thread(target=work[0], args=work[1], daemon=True).start()

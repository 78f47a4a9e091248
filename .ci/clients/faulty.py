#!/usr/bin/env python3
"""faulty.py PORT UPSTREAM SEED KINDS [SHARE]: passes requests on and spoils some of the answers under a seed.

KINDS are words joined by commas: 503, 404, 500, stall, drip, truncate, flip, reset. One answer in four is spoilt, or
SHARE of them. `once-stall` spoils the first answer for each file, and no other. `all-503`, `all-stall`, `all-reset` instead spoil every answer, for 8 of every 16 seconds. The same seed
spoils the same requests in the same order of arrival. SIGUSR1 begins an outage (connections are refused), SIGUSR2 ends
it: the process is the frontend's address, so this is a frontend that is down."""
import http.client, http.server, os, random, signal, socket, struct, sys, threading, time
from urllib.parse import urlsplit

PORT, UPSTREAM, SEED = int(sys.argv[1]), urlsplit(sys.argv[2]), int(sys.argv[3])
KINDS, SHARE = sys.argv[4].split(","), float(sys.argv[5]) if len(sys.argv) > 5 else 0.25
dice, lock, begun = random.Random(SEED), threading.Lock(), time.monotonic()
down, seen = threading.Event(), set()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def fault(self):
        storms = [kind[4:] for kind in KINDS if kind.startswith("all-")]
        if storms and (time.monotonic() - begun) % 16 < 8:
            return storms[0]
        with lock:
            if KINDS == ["once-stall"]:
                is_first = self.path not in seen and self.path.endswith(".rpm")
                seen.add(self.path)
                return "stall" if is_first else None
            kinds = [kind for kind in KINDS if not kind.startswith("all-")]
            kind = dice.choice(kinds) if kinds and dice.random() < SHARE else None
        # A profile carries no digest of its own: what a flipped byte does to it is for TLS to prevent.
        return None if kind == "flip" and "/distributions/" not in self.path else kind

    def end(self, reset):
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = True

    def pass_on(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        fault = self.fault() if self.command == "GET" else None
        if fault:
            print("spoilt", fault, self.path, flush=True)
        if down.is_set() or fault == "reset":
            return self.end(True)
        if fault in ("503", "404", "500"):
            return self.answer(int(fault), [], b"spoilt\n")
        # The frontend knows its machines by their addresses: the same one goes on.
        try:
            upstream = http.client.HTTPConnection(UPSTREAM.hostname, UPSTREAM.port, timeout=60,
                                                  source_address=(self.client_address[0], 0))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            return self.end(True)
        if fault == "flip" and content:
            at = len(content) // 2
            content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]
        kept = [(k, v) for k, v in answer.getheaders()
                if k.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server")]
        self.answer(answer.status, kept, content, fault)

    def answer(self, status, headers, content, fault=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault in ("stall", "drip", "truncate"):
            half = len(content) // 2
            self.wfile.write(content[:half])
            self.wfile.flush()
            for second in range(0 if fault == "truncate" else 40):
                if fault == "drip":
                    self.wfile.write(content[half + second: half + second + 1])
                time.sleep(1)
            self.close_connection = True
            return
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = pass_on

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass


signal.signal(signal.SIGUSR1, lambda *_: down.set())
signal.signal(signal.SIGUSR2, lambda *_: down.clear())
Server(("127.0.0.1", PORT), Handler).serve_forever()

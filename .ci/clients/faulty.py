#!/usr/bin/env python3
"""faulty.py PORT UPSTREAM SEED: passes requests on and spoils one answer in four: 503, 404, stall, truncation, a flipped
byte, a reset. The same seed spoils the same requests in the same order of arrival."""
import http.client, http.server, random, socket, struct, sys, threading, time
from urllib.parse import urlsplit

PORT, UPSTREAM, SEED = int(sys.argv[1]), urlsplit(sys.argv[2]), int(sys.argv[3])
dice, lock = random.Random(SEED), threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else None
        # The frontend knows its machines by their addresses: the same one goes on.
        upstream = http.client.HTTPConnection(UPSTREAM.hostname, UPSTREAM.port, timeout=60,
                                              source_address=(self.client_address[0], 0))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        with lock:
            fault = dice.choice(["503", "404", "stall", "truncate", "flip", "reset"]) if dice.random() < 0.25 else None
        is_file = "/distributions/" in self.path
        if fault and is_file:
            print("spoilt", fault, self.path, flush=True)
        else:
            fault = None
        if fault in ("503", "404"):
            answer.status, content = int(fault), b"spoilt\n"
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        if fault == "flip" and content:
            at = len(content) // 2
            content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault in ("stall", "truncate"):
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if fault == "stall":
                time.sleep(25)
            self.close_connection = True
            return
        self.wfile.write(content)

    do_GET = do_HEAD = do_POST = pass_on

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()

"""A receiver of webhooks on loopback, as Standard Webhooks want it: it verifies signature
and time, and knows a message again by its id."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

from proxy import wait_for

SECRET = 'whsec_' + base64.b64encode(b'a secret of thirty-two bytes, ok').decode()
TOLERANCE_SECONDS = 60


def signature_of(ident, timestamp, body):
    key = base64.b64decode(SECRET[len('whsec_'):])
    signed = b'%s.%s.%s' % (ident.encode(), timestamp.encode(), body)
    return 'v1,' + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class Receiver:
    """`answers` are the status codes of the first requests; 0 closes without an answer, then
    everything is taken."""

    def __init__(self, answers=(), context=None):
        self.answers = list(answers)
        self.requests = []  # (seconds, id, is its signature good, message, status)
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.take(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def take(self, request):
        body = request.rfile.read(int(request.headers['content-length']))
        ident, timestamp = request.headers['webhook-id'], request.headers['webhook-timestamp']
        good = hmac.compare_digest(request.headers['webhook-signature'],
                                   signature_of(ident, timestamp, body))
        fresh = abs(time.time() - int(timestamp)) < TOLERANCE_SECONDS
        status = self.answers.pop(0) if self.answers else 204
        self.requests.append((time.monotonic(), ident, good and fresh, json.loads(body), status))
        if status:
            request.send_response(status)
            if status == 302:
                request.send_header('location', '/elsewhere')
            request.send_header('content-length', '0')
            request.end_headers()
        request.close_connection = True

    def messages(self, count):
        """What was taken, once it is that many, or after a while. A message whose answer was
        lost comes again under the same id, and is known by it."""
        wait_for(lambda: len(self.taken()) >= count)
        return self.taken()

    def taken(self):
        return list({ident: message for _, ident, _, message, status in list(self.requests)
                     if status == 204}.values())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

# A proxy before a tracking server that keeps what passes, and fails as it is told.
import http.client
import http.server
import json
import socket
import socketserver
import ssl
import threading


class FreePort:
    """Where a server will be, or was: nobody answers there, and nobody else gets the port while this is held."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as a server's: who listens may join
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"


class FaultServer:
    """Hands each request to the server at `target` (host, port), unless `fault(handler, body)` has answered it: True.

    read: takes a body of so many bytes from a file, as slowly as it likes.
    requests: (method, path, headers, body) of each that came; connections: how many there were."""

    def __init__(self, target, fault=None, certificate=None, client_ca=None, port=0,
                 read=lambda file, count: file.read(count)):
        self.target, self.fault, self.requests, self.connections = target, fault, [], 0
        self.lock = threading.Lock()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 120

            def setup(self):
                with server.lock:
                    server.connections += 1
                super().setup()

            def do(self):
                body = read(self.rfile, int(self.headers.get("Content-Length", 0)))
                with server.lock:
                    server.requests.append((self.command, self.path, dict(self.headers), body))
                if server.fault and server.fault(self, body):
                    return
                self.answer(*self.forward(body))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

            def forward(self, body):
                connection = http.client.HTTPConnection(*server.target, timeout=60)
                headers = {name: value for name, value in self.headers.items()
                           if name.lower() not in ("host", "connection", "accept-encoding", "x-mlflow-workspace")}  # it has none
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                connection.close()
                return answer.status, text, answer.getheader("Content-Type", "application/json")

            def answer(self, status, text=b"", kind="application/json", **headers):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(text)

            def drop(self):
                """The connection is cut without an answer."""
                self.close_connection = True
                try:
                    self.connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        class Threads(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *args):
                pass

        self.http = Threads(("127.0.0.1", port), Handler)
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            if client_ca:
                context.load_verify_locations(client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
            scheme = "https"
        self.port = self.http.server_address[1]
        self.uri = f"{scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def calls(self, name):
        """The JSON bodies of the calls of that name."""
        return [json.loads(body) for _, path, _, body in self.requests if path.split("?")[0].endswith("/" + name)]

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.http.shutdown()
        self.http.server_close()


def every(k, fault):
    """Fails every k-th request, the first among them."""
    count = iter(range(1 << 30))
    return lambda handler, body: next(count) % k == 0 and fault(handler, body)


def status(code, text=b"", kind="text/html", **headers):
    def fault(handler, body):
        handler.answer(code, text, kind, **headers)
        return True
    return fault


def reset(handler, body):
    """The call never reaches the server."""
    handler.drop()
    return True


def lost(handler, body):
    """The call is done, its answer is lost."""
    handler.forward(body)
    handler.drop()
    return True


def cut(handler, body):
    """Half of the answer."""
    status, text, kind = handler.forward(body)
    handler.wfile.write(b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" %
                        (status, len(text) + 10) + text)
    handler.drop()
    return True


def half_json(handler, body):
    handler.answer(200, b'{"run": {"info"')
    return True


def twice(handler, body):
    """The call is done twice."""
    handler.forward(body)
    return False

# train.RemoteMonitor beside Keras's own: the same requests to a real server, and what becomes of the failures of one.
import http.server
import json
import socket
import socketserver
import threading
import time
import urllib.parse

import keras_replay  # noqa: F401  (Keras on its torch backend)
import numpy
import pytest
from keras import callbacks

pytest.importorskip("requests", reason="Keras's RemoteMonitor needs requests")


class Server:
    """A server that keeps what is posted; `answer(handler)` may do something else than say 200."""

    def __init__(self, answer=None):
        self.requests, self.connections = [], 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                server.connections += 1
                super().setup()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, dict(self.headers), body))
                if answer:
                    return answer(self)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):
                server.requests.append((self.path, dict(self.headers), None))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        class Threads(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.http = Threads(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


SCRIPT = """
local host, train = require "host", require "train"
for _, case in ipairs(host.json.decode(host.file.read(host.args[1]))) do
  local list, state = train.callback_list {train.RemoteMonitor(case.options)}, {}
  state.callback_list = list
  list:check(state)
  list:emit("train_begin", state)
  for epoch, logs in ipairs(case.epochs) do
    state:emit("epoch_begin")
    for _, log in ipairs(logs) do
      local value = log[2]
      if value == "nan" then value = 0 / 0 elseif value == "inf" then value = math.huge end
      state.logs[log[1]] = value
    end
    state:emit("epoch_end")
  end
  state:emit("train_end")
end
"""


def replay(trainhost, folder, cases, **options):
    (folder / "cases.json").write_text(json.dumps(cases))
    return trainhost.run("-e", SCRIPT, "--", folder / "cases.json", **options)


def play(case):
    """The same through Keras."""
    monitor = callbacks.RemoteMonitor(**case["options"])
    monitor.on_train_begin()
    for epoch, logs in enumerate(case["epochs"]):
        values = {"nan": float("nan"), "inf": float("inf")}
        monitor.on_epoch_end(epoch, {name: values[value] if isinstance(value, str) else numpy.float64(value)
                                     for name, value in logs})


def what_matters(requests):
    """Path, the headers that say something of the content, the body."""
    kept = ("content-type", "content-length", "x-token", "authorization", "accept")
    return [(path, {name.lower(): value for name, value in headers.items() if name.lower() in kept}, body)
            for path, headers, body in requests]


OPTIONS = [
    {}, {"send_as_json": True}, {"path": "/a b/ü%20/?x=1 2&y=[3]"}, {"field": "the field & more"},
    {"headers": {"X-Token": "a b", "Accept": "text/plain"}},
    {"headers": {"content-type": "text/x-own"}}, {"send_as_json": True, "headers": {"Content-Type": "text/x-own"}},
    {"field": "data/ü"}, {"path": ""},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_requests_are_those_of_keras(trainhost, tmp_path, options):
    random = numpy.random.default_rng(3)
    numbers = [1.0, 0.1, 1e-5, 1e-4, 123456.0, 1e16, 1e15, 1e22, -0.0, 2.5e-320, 1.7976931348623157e308]
    epochs = [[["loss", float(random.standard_normal())], ["val_loss", float(random.random())]] for _ in range(3)]
    epochs.append([[f"n{i}", value] for i, value in enumerate(numbers)])
    epochs.append([["größe \"a\\b\"\t\u0001\x7f 😀", 0.5], ["a&b=c/d~e.f_g-h", 1.5], ["epoch", 7.0]])
    if not options.get("send_as_json"):
        epochs.append([["loss", "nan"], ["big", "inf"]])
    epochs.append([])
    with Server() as server:
        case = {"options": {"root": server.root, **options}, "epochs": epochs}
        done = replay(trainhost, tmp_path, [case])
        ours, server.requests = server.requests, []
        assert server.connections == 1, "one connection that is kept"
        play(case)
        assert len(ours) == len(epochs) and done.stderr == ""
        assert what_matters(ours) == what_matters(server.requests)


def test_json_has_no_nan_and_such_an_epoch_is_not_sent(trainhost, tmp_path):
    with Server() as server:
        case = {"options": {"root": server.root, "send_as_json": True},
                "epochs": [[["loss", "nan"]], [["loss", "nan"]], [["loss", 0.5]]]}
        done = replay(trainhost, tmp_path, [case])
        ours, server.requests = server.requests, []
        with pytest.warns(UserWarning):
            play(case)
        assert what_matters(ours) == what_matters(server.requests)
        assert len(ours) == 1
        assert done.stderr.count("JSON has no NaN") == 1


FIT = """
local host, torch, train = require "host", require "torch", require "train"
local root = host.args[1]
local net = torch.nn.Linear(2, 1)
local data = {torch.ones(4, 2), torch.ones(4, 1)}
local took = host.clock()
local history = train.fit {model = net, optimizer = torch.optim.SGD(net:parameters(), {lr = 0.01}), epochs = 4,
  loss = torch.nn.functional.mse_loss, train = {data, data}, valid = {data}, quiet = true,
  callbacks = {train.RemoteMonitor {root = root, headers = {["X-Token"] = "canary-1"}},
    train.on("epoch_end", function(state) took = state.epoch == 3 and host.clock() - took or took end)}}
print(#history.epoch, took, host.json.encode(history.history))
"""


def fit(trainhost, root, **options):
    """Runs a training of four epochs; what it says, and the seconds until the end of its last epoch."""
    done = trainhost.run("-e", FIT, "--", root, **options)
    epochs, seconds, history = done.stdout.split(maxsplit=2)
    assert epochs == "4", "training goes on"
    assert "canary" not in done.stderr + done.stdout
    return done.stderr, float(seconds), json.loads(history)


def test_fit_sends_the_logs_of_each_epoch(trainhost):
    with Server() as server:
        said, _, history = fit(trainhost, server.root)
        assert said == ""
        sent = [json.loads(urllib.parse.parse_qs(body.decode())["data"][0]) for _, _, body in server.requests]
        assert sent == [{"epoch": i, "loss": history["loss"][i], "val_loss": history["val_loss"][i]} for i in range(4)]
        assert all(headers["X-Token"] == "canary-1" for _, headers, _ in server.requests)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("root, reason", [
    ("http://user:canary@127.0.0.1:{port}", "Failed to connect"), ("http://nowhere.invalid", "Could not resolve"),
    ("https://127.0.0.1:{port}", "Failed to connect"), ("http://user:can#ary:canary@127.0.0.1:{port}", ""),
])
def test_a_server_that_is_not_there_is_one_warning(trainhost, root, reason):
    said, _, _ = fit(trainhost, root.format(port=free_port()))
    assert said.count("train.RemoteMonitor") == 1 and said.count("\n") == 1 and reason in said, said


def cut(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    handler.close_connection = True


def reset(handler):
    handler.close_connection = True


def status(code):
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    return answer


@pytest.mark.parametrize("answer, reason", [
    (status(500), "answers 500"), (status(404), "answers 404"), (status(429), "answers 429"),
    (cut, "could not reach"), (reset, "could not reach"),
])
def test_a_failing_server_is_one_warning_and_each_epoch_is_sent_once(trainhost, answer, reason):
    with Server(answer) as server:
        said, _, _ = fit(trainhost, server.root)
        assert said.count("\n") == 1 and reason in said, said
        assert [json.loads(urllib.parse.parse_qs(body.decode())["data"][0])["epoch"]
                for _, _, body in server.requests] == [0, 1, 2, 3]


def test_each_kind_of_failure_warns(trainhost):
    codes = iter([500, 404, 500, 404])
    with Server(lambda handler: status(next(codes))(handler)) as server:
        said, _, _ = fit(trainhost, server.root)
    assert said.count("answers 500") == 1 and said.count("answers 404") == 1 and said.count("\n") == 2


def test_a_server_that_hangs_holds_up_neither_the_training_nor_for_long_its_end_slow(trainhost):
    free = threading.Event()
    with Server(lambda handler: free.wait(60)) as server:
        began = time.monotonic()
        said, seconds, _ = fit(trainhost, server.root)
        free.set()
    assert seconds < 4.5 and time.monotonic() - began < 60
    assert "4 epochs have not been sent after 5 s" in said and "no answer in time" in said, said


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed_as_requests_follows_them(trainhost, tmp_path, code):
    def move(handler):
        if handler.path != "/publish/epoch/end/":
            return status(200)(handler)
        handler.send_response(code)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with Server(move) as server:
        case = {"options": {"root": server.root}, "epochs": [[["loss", 0.5]]]}
        replay(trainhost, tmp_path, [case])
        ours, server.requests = [(path, body) for path, _, body in server.requests], []
        play(case)
        assert ours == [(path, body) for path, _, body in server.requests]


def test_a_proxy_of_the_environment_is_used(trainhost, monkeypatch):
    with Server() as server:
        monkeypatch.setenv("http_proxy", server.root)
        said, _, _ = fit(trainhost, "http://far.invalid:81")
        assert said == ""
        assert [path for path, _, _ in server.requests] == ["http://far.invalid:81/publish/epoch/end/"] * 4
        monkeypatch.setenv("no_proxy", "far.invalid")
        said, _, _ = fit(trainhost, "http://far.invalid:81")
        assert "Could not resolve host: far.invalid" in said and len(server.requests) == 4


def test_libcurl_is_opened_when_it_is_needed(trainhost):
    look = 'local maps = io.open("/proc/self/maps"):read("a") print(maps:find("libcurl") ~= nil)'
    assert trainhost.lua('require "torch" require "mlflow" require "train".RemoteMonitor() ' + look) == "False\n".lower()
    with Server() as server:
        used = trainhost.run("-e", FIT + look, "--", server.root).stdout
        assert used.endswith("true\n")


def test_a_missing_libcurl_names_its_package(trainhost, tmp_path):
    for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
        (tmp_path / name).write_text("")
    done = trainhost.run("-e", FIT, "--", "http://127.0.0.1:1", env={"LD_LIBRARY_PATH": str(tmp_path)}, check=False)
    assert done.returncode == 1
    assert "libcurl" in done.stderr and "apt-get install libcurl4" in done.stderr
    assert "RemoteMonitor" in done.stderr


def test_a_dry_run_sends_nothing(trainhost):
    with Server() as server:
        trainhost.run("--dry-run", "-e", FIT, "--", server.root, check=False)
        assert server.requests == []

# The real MLflow, as a server.
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest
from fault_server import FreePort

for name in [name for name in os.environ if name.lower().endswith("_proxy")]:  # all servers are on this machine
    del os.environ[name]


class Server:
    """A real MLflow server in a folder: `mlflow server`, with sqlite and the artifacts beside it, without its ten processes
    for jobs."""

    def __init__(self, folder, *options):
        self.place = FreePort()
        self.port, self.uri = self.place.port, self.place.uri
        self.log = folder / "server.log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers", "1", *options], cwd=folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, stdout=self.log.open("w"),
            stderr=subprocess.STDOUT, start_new_session=True)

    def get(self, path, /, **query):
        url = f"http://127.0.0.1:{self.port}/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()

    def post(self, path, **body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def wait(self, seconds=120):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                self.get("health")
                return self
            except OSError:
                time.sleep(0.3)
        pytest.fail("the server did not start:\n" + self.log.read_text())

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)  # a polite end waits for connections that are kept alive
        self.process.wait()

# One real tracking server for all tests that do not need one of their own.
import os

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # of the mlflow under test; nothing to be sent from a test
for name in [name for name in os.environ if name.startswith("MLFLOW_") and name != "MLFLOW_DISABLE_TELEMETRY"]:
    del os.environ[name]
import mlflow  # noqa: E402
from fault_server import FaultServer  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow_server import Server  # noqa: E402


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch, tmp_path):
    """No credentials file, no .netrc; and mlflow.set_tracking_uri, which sets a variable, is of its test alone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        yield server.wait()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def client(server):
    return MlflowClient(tracking_uri=server.uri)


@pytest.fixture
def proxy(server):
    """Makes proxies before the server."""
    made = []

    def make(fault=None, **options):
        made.append(FaultServer(("127.0.0.1", server.port), fault, **options))
        return made[-1]

    yield make
    for one in made:
        one.__exit__()


@pytest.fixture
def artifacts(monkeypatch, server):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)  # which set_tracking_uri changes
    before = mlflow.get_tracking_uri()  # of other tests of this process: it stands over the environment
    mlflow.set_tracking_uri(server.uri)
    yield mlflow.artifacts
    mlflow.set_tracking_uri(before)

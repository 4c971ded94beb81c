# No test here knows what another one, or who calls them, has set for MLflow.
import os

import pytest


def forget_settings():
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # of the mlflow under test; nothing to be sent from a test
    for name in [name for name in os.environ if name.startswith("MLFLOW_") and name != "MLFLOW_DISABLE_TELEMETRY"]:
        del os.environ[name]


forget_settings()  # before mlflow is imported


@pytest.fixture(autouse=True)
def no_settings():
    """mlflow.set_tracking_uri and set_experiment leave variables behind, which trainhost would take for its user's."""
    forget_settings()

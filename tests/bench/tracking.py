# The benchmark's other side: what MLflow's own logging costs. tracking.py WHAT URI COUNT sync|async
import os
import sys
import time

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow  # noqa: E402

what, uri, count, synchronous = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "sync"
mlflow.set_tracking_uri(uri)


def tell(name, seconds):
    print(f"{name}\t{seconds * 1e6:.3f}")


def log(i):
    mlflow.log_metric("loss", i, step=i, synchronous=synchronous)


def call():
    """Each call alone; a call that waits for its store is durable when it returns."""
    with mlflow.start_run():
        for i in range(count):
            began = time.perf_counter()
            log(i)
            tell("call", time.perf_counter() - began)
        mlflow.flush_async_logging()


def deliver():
    with mlflow.start_run():
        began = time.perf_counter()
        for i in range(count):
            log(i)
        tell("logged", time.perf_counter() - began)
        mlflow.flush_async_logging()
        tell("delivered", time.perf_counter() - began)


def start():
    began = time.perf_counter()
    with mlflow.start_run():
        tell("start", time.perf_counter() - began)


def end():
    with mlflow.start_run():
        for i in range(count):
            log(i)
    print(f"ended\t{time.time():.6f}")


{"call": call, "deliver": deliver, "start": start, "exit": end}[what]()

# The same searches by MlflowClient and by the Lua client, on one store: a file, and the real server.
import json
import math

import pytest
from test_mlflow import client_of, mlflow  # noqa: F401
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow_server import Server

FILTERS = r"""
metrics.loss < 0.5
metrics.loss <= 0.5
metrics.loss > 0.5
metrics.loss >= 0.5
metrics.loss = 0.5
metrics.loss=0.5
metrics.loss != 0.5
metrics.loss > -1.5e-3
metrics.loss > .25
metrics.loss > 1.
metrics.loss < 1e-1
metrics.`val/loss` < 0.4
metrics."val/loss" > 0.1
metrics.`with space` = 1
metrics.nan != 0
metrics.nan = 0
metrics.nan < 1
metrics.inf > 1e300
metrics.missing = 1
metric.loss < 1 AND metrics.loss > 0.2
AND metrics.loss < 0.5
metrics.loss < 0.5 AND
metrics.loss < 0.5 metrics.loss > 0.2
metrics.loss < 0.5 and metrics.loss > 0.2
metrics.loss < 0.5 OR metrics.loss > 0.9
(metrics.loss < 0.5)
metrics.loss == 0.5
metrics.loss <> 0.5
metrics.loss < '0.5'
metrics.loss > +1
metrics.loss > 0x10
metrics.loss > 1E+3
metrics.loss < nan
metrics.loss BETWEEN 0 AND 1
metrics.loss LIKE 1
metrics.loss IS NULL
metrics.loss
metrics.loss >
= 1
1 = metrics.loss
metrics.loss = 1; metrics.loss = 2
metrics.loss > 0 -- comment
metrics.val/loss > 0.1
params.lr = '0.1'
params.lr != '0.1'
params.lr = "0.1"
params.lr = 0.1
params.lr = abc
params.lr = `0.1`
params.lr > '0.01'
params.lr LIKE '0.%'
params.optimizer ILIKE 'ADAM%'
params.optimizer LIKE 'ADAM%'
params.optimizer like 'adam_'
params.optimizer NOT LIKE 'a%'
params.optimizer IS NULL
params.optimizer is not null
params.`batch size` = '32'
params."batch size" = '32'
params.batch-size = '32'
param.lr = '0.1'
parameters.lr = '0.1'
`params`.`lr` = "0.1"
params.'lr' = '0.1'
params.dotted.name = 'x'
params.quote = "it's"
params.quote = 'it''s'
params.quote = 'it\'s'
params.injection = "'; DROP TABLE runs; --"
params.`x' OR 1=1 --` = 'x'
params.empty = ''
params.name = 'x'
params.end = 'x'
tags.team = 'blue'
tags.team != 'blue'
tags.team LIKE 'b%'
tags.team ILIKE 'B%'
tags.team IN ('blue', 'red')
tags.team IS NULL
tags.team IS NOT NULL
tags.team IS 'blue'
tags.missing IS NULL AND params.lr IS NOT NULL
tags.mlflow.runName = 'run 1'
tags.`mlflow.runName` LIKE 'run%'
tag.team = 'blue' AND metrics.loss < 0.4
tags.umlaut = 'grün'
tags.umlaut ILIKE 'GR%'
tags.team = 'blue AND x'
tags.percent LIKE '100\%'
tags.team='blue'AND tags.team!='red'
status = 'FINISHED'
status != 'FINISHED'
attributes.status = 'RUNNING'
attr.status = 'FAILED'
attribute.status LIKE 'F%'
run.status ILIKE 'f%'
status IN ('FINISHED', 'FAILED')
status < 'G'
run_name = 'run 1'
attributes.run_name LIKE 'run _'
`run name` = 'run 2'
attributes."Run name" = 'run 2'
attributes.`Run Name` ILIKE 'RUN%'
start_time > 1700000003000
start_time >= 1700000003000 AND start_time < 1700000006000
start_time > 1700000003000.5
attributes.created <= 1700000003000
Created != 1700000003000
start_time = '1700000003000'
start_time LIKE '17%'
end_time > 0
end_time < 1700000005500
user_id = 'ann'
artifact_uri LIKE '%artifacts'
lifecycle_stage = 'active'
experiment_id = '1'
duration > 1
foo.bar = 1
nosuch = 'x'
dataset.name = 'digits'
datasets.name LIKE 'dig%'
dataset.digest = 'abc'
dataset.digest IN ('abc', 'def')
dataset.name NOT IN ('digits')
dataset.context = 'train'
dataset.context ILIKE 'TR%'
dataset.context IN ('eval')
dataset.foo = 'x'
dataset.name = 'digits' AND dataset.context = 'eval'
run_id IN ()
run_id IN (1)
run_id = 'x'
run_id IN 'a'
params.lr = '0.1' AND tags.team = 'blue' AND status = 'FINISHED' AND metrics.loss < 10
params.a = 'x' 'y'
tags.`a`b = 'x'
tags.x ~ 'a'
tags.x RLIKE 'a'
""".strip().splitlines() + ["", "   ", "tags.lines = 'a\nb'", "metrics.loss < 0.5\n  AND\tmetrics.loss > 0"]

ORDERS = [["metrics.loss"], ["metrics.loss DESC"], ["metrics.nan"], ["metrics.nan DESC"], ["params.lr"],
          ["params.lr desc", "metrics.loss ASC"], ["tags.team", "start_time"], ["start_time ASC"], ["attributes.end_time"],
          ["metrics.`val/loss` DESC"], ["`params`.`batch size`"], ["run_name DESC"], ["attribute.run_id"], ["status"],
          ["metrics.loss", "metrics.loss DESC"], ["metrics.loss UP"], ["nosuch"], ["metrics.loss DESC ASC"], [""],
          ["dataset.name"], ["artifact_uri"], ["created"], ["user_id", "run_name ASC"]]

EXPERIMENTS = r"""
name = 'one'
name != 'one'
name LIKE 'o%'
name ILIKE 'O%'
name IN ('one')
attribute.name = 'one'
experiment_id = '1'
experiment_id != '1'
experiment_id IN ('1', '2')
experiment_id NOT IN ('0')
experiment_id LIKE '1%'
experiment_id = 'x'
creation_time > 0
creation_time > 1.5
last_update_time >= 0 AND name = 'two'
creation_time = '1'
tags.kind = 'a'
tags.kind != 'a'
tags.kind ILIKE 'A'
tags.kind IS NULL
tag.kind IS NOT NULL
tags.`my tag` = 'x'
name IS NULL
metrics.loss = 1
nosuch = 'x'
name > 'a'
name = 'one' OR name = 'two'
""".strip().splitlines() + [""]



def fill(uri):
    """Experiments and runs of every kind, made by Python."""
    client = MlflowClient(tracking_uri=uri)
    one = client.create_experiment("one", tags={"kind": "a", "my tag": "x"})
    two = client.create_experiment("two", tags={"kind": "b"})
    client.create_experiment("three")
    gone = client.create_experiment("gone")
    client.delete_experiment(gone)
    start = 1_700_000_000_000
    runs = []
    for i in range(10):
        run = client.create_run(one if i < 8 else two, start_time=start + 1000 * i, run_name=f"run {i}",
                                tags={"mlflow.user": "ann" if i % 2 else "bob"})
        runs.append(run.info.run_id)
        metrics = [Metric("loss", i / 8, start, 0), Metric("with space", float(i), start, 0),
                   Metric("nan", math.nan if i % 3 == 0 else float(i % 3), start, 0)]
        if i % 2:
            metrics.append(Metric("val/loss", i / 10, start, 0))
        if i == 4:
            metrics.append(Metric("inf", math.inf, start, 0))
        params = [Param("lr", "0.1" if i < 5 else "0.01"), Param("batch size", str(2 ** i)), Param("dotted.name", "x"),
                  Param("quote", "it's" if i == 1 else "it''s"), Param("name", "x"), Param("end", "x")]
        if i % 3:
            params.append(Param("optimizer", ["adam", "ADAMW", "adamw"][i % 3]))
        if i == 2:
            params.append(Param("injection", "'; DROP TABLE runs; --"))
        tags = [RunTag("percent", "100%"), RunTag("lines", "a\nb")]
        if i % 4:
            tags.append(RunTag("team", ["", "blue", "Blue", "red"][i % 4]))
        if i == 6:
            tags.append(RunTag("umlaut", "grün"))
        client.log_batch(run.info.run_id, metrics, params, tags)
        if i in (3, 5, 7):
            from mlflow.entities import Dataset, DatasetInput, InputTag
            client.log_inputs(run.info.run_id, [DatasetInput(
                Dataset("digits" if i != 7 else "faces", "abc" if i == 3 else "def", "local", '{"uri": "x"}', "{}", None),
                [InputTag("mlflow.data.context", "train" if i != 5 else "eval")])])
        if i != 9:
            client.set_terminated(run.info.run_id, "FAILED" if i == 5 else "FINISHED", start + 1000 * i + 500)
    client.delete_run(runs[6])
    return client, [one, two]


def ids(items):
    return [item.info.run_id for item in items]


def asked(f):
    try:
        return f()
    except Exception as e:
        return "error: " + type(e).__name__


@pytest.fixture(scope="module", params=["file", "server"])
def filled(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    if request.param == "file":
        uri = f"sqlite:///{folder}/mlflow.db"
        yield (uri, folder, *fill(uri))
        return
    server = Server(folder)
    try:
        server.wait()
        yield (server.uri, folder, *fill(server.uri))
    finally:
        server.stop()


def lua(trainhost, folder, uri, code, given):
    """What a script returns that is given `given` as a table."""
    (folder / "given.json").write_text(json.dumps(given))
    trainhost.lua("""local mlflow, host = require "mlflow", require "host"
        mlflow.set_tracking_uri("%s")
        local given = host.json.decode(host.file.read("given.json"))
        local client = mlflow.MlflowClient()
        local function try(f, ...)
          local ok, result = pcall(f, ...)
          return ok and result or "error: " .. tostring(result)
        end
        local function ids(runs)
          local list = host.json.array{}
          for i, run in ipairs(runs) do list[i] = run.info.run_id end
          return list
        end
        host.file.write_atomic("result.json", host.json.encode((function() %s end)()))""" % (uri, code), cwd=folder)
    return json.loads((folder / "result.json").read_text())


def compare(got, want, names):
    """Every case: the same answer, or an error where Python has one. An error has a reason."""
    wrong = []
    for name, mine, theirs in zip(names, got, want, strict=True):
        if isinstance(theirs, str):
            if not (isinstance(mine, str) and "mlflow" in mine):
                wrong.append((name, mine, theirs))
        elif mine != theirs:
            wrong.append((name, mine, theirs))
    assert not wrong, "\n".join(map(str, wrong))


def test_filters_find_what_pythons_find(trainhost, filled):
    uri, folder, client, experiments = filled
    some = ids(client.search_runs(experiments))
    filters = FILTERS + [f"run_id = '{some[0]}'", f"run_id IN ('{some[0]}', \"{some[1]}\")", f"run_id in ('{some[2]}',)",
                         f"attributes.run_id NOT IN ('{some[0]}')", f"run_id LIKE '{some[0][:5]}%'"]
    want = [asked(lambda: ids(client.search_runs(experiments, text))) for text in filters]
    assert sum(isinstance(one, list) and 0 < len(one) < 9 for one in want) > 50  # the store tells them apart
    got = lua(trainhost, folder, uri, """local results = {}
        for i, text in ipairs(given.filters) do
          results[i] = try(function() return ids(client:search_runs(given.experiments, text)) end)
        end
        return results""", {"filters": filters, "experiments": experiments})
    compare(got, want, filters)


def test_orders_are_pythons(trainhost, filled, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # some are an internal error of the server, which may pass
    uri, folder, client, experiments = filled
    want = [asked(lambda: ids(client.search_runs(experiments, order_by=order))) for order in ORDERS]
    got = lua(trainhost, folder, uri, """local results = {}
        for i, order in ipairs(given.orders) do
          results[i] = try(function() return ids(client:search_runs(given.experiments, {order_by = order})) end)
        end
        return results""", {"orders": ORDERS, "experiments": experiments})
    compare(got, want, ORDERS)


def test_pages_and_stages(trainhost, filled):
    uri, folder, client, experiments = filled
    want, token = [], None
    while True:
        page = client.search_runs(experiments, "metrics.loss >= 0", max_results=4, page_token=token)
        want.append([ids(page), page.token.decode() if isinstance(page.token, bytes) else page.token or None])
        token = page.token
        if not token:
            break
    want += [ids(client.search_runs(experiments, run_view_type=view)) for view in (1, 2, 3)]
    got = lua(trainhost, folder, uri, """local results, token = {}, nil
        repeat
          local page = client:search_runs(given, "metrics.loss >= 0", {max_results = 4, page_token = token})
          token = page.token
          results[#results + 1] = {ids(page), token or host.json.null}
        until not token
        for view = 1, 3 do results[#results + 1] = ids(client:search_runs(given, {run_view_type = view})) end
        return results""", experiments)
    assert got == want
    for bad in ({"max_results": 0}, {"max_results": 50001}, {"page_token": "%%%"}, {"run_view_type": 7}):
        assert lua(trainhost, folder, uri, "return {try(client.search_runs, client, {'0'}, given)}",
                   bad)[0].startswith("error")


def test_experiments_are_searched_as_python_searches_them(trainhost, filled):
    uri, folder, client, _ = filled

    def names(found):
        return [experiment.name for experiment in found]

    want = [asked(lambda: names(client.search_experiments(filter_string=text))) for text in EXPERIMENTS]
    orders = [["name"], ["name DESC"], ["last_update_time", "name"], ["experiment_id DESC"], ["tags.kind"], ["nosuch"]]
    want += [asked(lambda: names(client.search_experiments(order_by=order))) for order in orders]
    want += [names(client.search_experiments(view)) for view in (1, 2, 3)]
    got = lua(trainhost, folder, uri, """local results = {}
        local function names(found)
          local list = host.json.array{}
          for i, experiment in ipairs(found) do list[i] = experiment.name end
          return list
        end
        for i, text in ipairs(given.filters) do
          results[i] = try(function() return names(client:search_experiments{filter_string = text}) end)
        end
        for _, order in ipairs(given.orders) do
          results[#results + 1] = try(function() return names(client:search_experiments{order_by = order}) end)
        end
        for view = 1, 3 do results[#results + 1] = names(client:search_experiments(view)) end
        return results""", {"filters": EXPERIMENTS, "orders": orders})
    compare(got, want, EXPERIMENTS + orders + [1, 2, 3])

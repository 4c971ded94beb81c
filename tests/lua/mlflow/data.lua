-- mlflow.data: digests, schemas and profiles, and datasets as inputs of a run.
local test = require "test"
local mlflow = require "mlflow"
local torch = require "torch"

local function case(name, fn)
  test.case(name, function()
    mlflow.set_tracking_uri("sqlite:///" .. test.tmpdir() .. "/mlflow.db")
    fn()
    while mlflow.active_run() do mlflow.end_run() end
    test.truthy(mlflow.flush(20))
  end)
end

test.case("MD5 is that of RFC 1321", function()
  local md5 = require "mlflow.md5"
  test.equal(md5(""), "d41d8cd98f00b204e9800998ecf8427e")
  test.equal(md5("abc"), "900150983cd24fb0d6963f7d28e17f72")
  test.equal(md5(("1234567890"):rep(8)), "57edf4a22be3c955ac49da2e2107b67a")
  for length = 54, 66 do test.equal(#md5(("x"):rep(length)), 32) end
end)

-- Made by: mlflow.data.from_numpy(np.arange(10).reshape(2, 5).astype("float64"), source="data.csv",
-- targets=np.array([0, 1])) of MLflow 3.17.
case("a dataset has the digest, schema and profile that MLflow's of numpy has", function()
  local set = mlflow.data.from_tensor(torch.arange(10):reshape(2, 5):to(torch.float64),
    {source = "data.csv", targets = torch.tensor{0, 1}})
  test.equal(set.digest, "3fec6625")
  test.equal(set.source_type, "local")
  test.equal(set.source, '{"uri": "data.csv"}')
  test.equal(set.profile, '{"features_shape": [2, 5], "features_size": 10, "features_nbytes": 80, '
    .. '"targets_shape": [2], "targets_size": 2, "targets_nbytes": 16}')
  test.equal(set.schema, '{"mlflow_tensorspec": {"features": "[{\\"type\\": \\"tensor\\", \\"tensor-spec\\": '
    .. '{\\"dtype\\": \\"float64\\", \\"shape\\": [-1, 5]}}]", "targets": "[{\\"type\\": \\"tensor\\", '
    .. '\\"tensor-spec\\": {\\"dtype\\": \\"int64\\", \\"shape\\": [-1]}}]"}}')
  test.equal(mlflow.data.from_tensor({a = torch.ones(3), b = torch.zeros(2, 2)}).digest, "ea52ff18")
end)

case("sources are told by their scheme", function()
  local function source(text) return mlflow.data.from_tensor(torch.ones(1), {source = text}) end
  test.equal(source("https://x.org/a.csv").source_type, "http")
  test.equal(source("https://x.org/a.csv").source, '{"url": "https://x.org/a.csv"}')
  test.equal(source("s3://bucket/a").source_type, "s3")
  test.equal(source("file:///a").source_type, "local")
  test.equal(source(nil).source_type, "code")
  test.equal(source("ü").source, '{"uri": "\\u00fc"}')
end)

case("inputs of a run are read back, each dataset once", function()
  local set = mlflow.data.from_numpy(torch.ones(2, 3), {name = "ones", digest = "mine"})
  do
    local run <close> = mlflow.start_run()
    run:log_input(set, "training")
    run:log_input(set, {context = "again"})  -- it is known
    mlflow.log_inputs({mlflow.data.from_tensor(torch.zeros(2), {name = "zeros"})}, {"eval"}, {{origin = "x"}})
    local inputs = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    test.equal(#inputs, 2)
    test.equal(inputs[1].dataset.name, "ones")
    test.equal(inputs[1].dataset.digest, "mine")
    test.equal(inputs[1].tags[1].value, "training")
    test.equal(inputs[2].tags[2].key, "origin")
  end
  test.equal(#mlflow.search_runs{filter_string = "dataset.name = 'ones' AND dataset.context = 'eval'"}, 1)
  test.equal(#mlflow.search_runs{filter_string = "dataset.digest IN ('other')"}, 0)
end)

case("a metric names the dataset that it measures", function()
  local run <close> = mlflow.start_run()
  run:log_metrics({accuracy = 0.5}, {step = 1, dataset = mlflow.data.from_tensor(torch.ones(2), {name = "test"})})
  local stored = mlflow.get_run(run.info.run_id)
  test.equal(stored.data.metrics.accuracy, 0.5)
  test.equal(stored.inputs.dataset_inputs[1].dataset.name, "test")
end)

case("misuse is refused at the call", function()
  local run <close> = mlflow.start_run()
  test.raises("'features' must be a tensor or a table of name %-> tensor, got number 1", mlflow.data.from_tensor, 1)
  test.raises("'targets' must be a tensor", mlflow.data.from_tensor, torch.ones(1), {targets = {}})
  test.raises("keyword 'source' must be a path", mlflow.data.from_tensor, torch.ones(1), {source = 3})
  test.raises("a dataset is one of mlflow.data.from_tensor, got nil", run.log_input, run)
  test.raises("'digest' exceeds the maximum length of 36", run.log_input, run,
    mlflow.data.from_tensor(torch.ones(1), {digest = ("x"):rep(37)}))
  test.raises("same length", run.log_inputs, run, {}, {"training"})
  test.raises("argument 'context' must be a string", run.log_input, run, mlflow.data.from_tensor(torch.ones(1)), 3)
end)

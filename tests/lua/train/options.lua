-- What callbacks are made with: a wrong option is refused where it is written, by the callback's and the option's name.
local mlflow = require "mlflow"
local test = require "test"
local torch = require "torch"
local train = require "train"

local NAN <const> = 0 / 0

-- callback -> {options that are wrong, what the error says after the callback's name}
local WRONG <const> = {
  RemoteMonitor = {
    {{root = "localhost:9000"}, "root must be the http:// or https:// address of a server"},
    {{root = "ftp://x"}, "root must be the http:// or https:// address of a server"},
    {{root = "http://"}, "root must be the http:// or https:// address of a server"},
    {{root = 5}, "root must be a string that is not empty, got number 5"},
    {{path = 5}, "path must be a string, got number 5"},
    {{field = ""}, "field must be a string that is not empty"},
    {{send_as_json = 1}, "send_as_json must be true or false, got number 1"},
    {{headers = "x"}, "headers must be a table of name %-> text, got string"},
    {{headers = {["X-A"] = 5}}, "headers: the value of X%-A must be a string of one line"},
    {{headers = {["X-A"] = "secret\r\nX-B: 1"}}, "headers: the value of X%-A must be a string of one line"},
    {{headers = {["X A"] = "b"}}, "headers: the name of a header must be a word, got string"},
    {{headers = {"b"}}, "headers: the name of a header must be a word, got number 1"},
    {{timeout = 5}, 'unknown keyword string "timeout"'},
  },
  EarlyStopping = {
    {{patience = "3"}, 'patience must be a whole number of 0 or more, got string "3"'},
    {{patience = -1}, "patience must be a whole number of 0 or more, got number %-1"},
    {{patience = 1.5}, "patience must be a whole number of 0 or more, got number 1.5"},
    {{start_from_epoch = "x"}, 'start_from_epoch must be a whole number of 0 or more, got string "x"'},
    {{min_delta = "0.1"}, "min_delta must be a number, got string"},
    {{min_delta = NAN}, "min_delta must be a number, got number"},
    {{monitor = 5}, "monitor must be a string that is not empty, got number 5"},
    {{monitor = ""}, "monitor must be a string that is not empty"},
    {{mode = "up"}, 'mode must be "auto", "min" or "max", got string "up"'},
    {{threshold_mode = 1}, 'threshold_mode must be "abs" or "rel", got number 1'},
    {{baseline = {}}, "baseline must be a number, got"},
    {{stopping_threshold = "x"}, "stopping_threshold must be a number"},
    {{divergence_threshold = true}, "divergence_threshold must be a number"},
    {{restore_best_weights = 1}, "restore_best_weights must be true or false, got number 1"},
    {{check_finite = "no"}, "check_finite must be true or false"},
    {{verbose = "yes"}, "verbose must be true or false"},
    {{errors = {"retry", times = 0}}, 'errors must be "raise", .- or {"retry", times = 3, .-}, got times = number 0'},
    {{errors = {"retry", time = 3}}, 'errors must be .-, got the key string "time"'},
    {{errors = {"retry", 3}}, "errors must be .-, got the key number 2"},
    {{errors = {"retry", otherwise = "retry"}}, 'errors must be .-, got otherwise = string "retry"'},
    {{errors = {retry = 3}}, "errors must be .-, got a table that begins with nil"},
    {{errors = 3}, "errors must be .-, got number 3"},
    {{budget = "0%"}, "budget must be"},
    {{budget = "5ep"}, "budget must be"},
    {{name = 3}, "name must be a string that is not empty"},
  },
  BackupAndRestore = {
    {{backup_dir = 5}, "backup_dir must be a string that is not empty, got number 5"},
    {{backup_dir = "x", save_freq = 0}, "save_freq must be a whole number of 1 or more"},
    {{backup_dir = "x", save_freq = "often"}, "save_freq must be a number or a time"},
    {{backup_dir = "x", delete_checkpoint = 1}, "delete_checkpoint must be true or false"},
    {{save_freq = 1}, "keyword 'backup_dir' is required"},
  },
  ModelCheckpoint = {
    {{filepath = 5}, "filepath must be a string that is not empty, got number 5"},
    {{filepath = "x", save_best_only = 1}, "save_best_only must be true or false"},
    {{filepath = "x", save_weights_only = "x"}, "save_weights_only must be true or false"},
    {{filepath = "x", initial_value_threshold = "x"}, "initial_value_threshold must be a number"},
    {{filepath = "x", keep_best = 1.5}, "keep_best must be a whole number of 1 or more, got number 1.5"},
    {{filepath = "x", keep_last = 0}, "keep_last must be a whole number of 1 or more"},
    {{filepath = "x", mode = "down"}, "mode must be"},
    {{filepath = "x", save_freq = {}}, "save_freq must be a number or a time"},
  },
  ReduceLROnPlateau = {
    {{factor = "x"}, "factor must be a number of 0 or more, got string"},
    {{factor = -1}, "factor must be a number of 0 or more"},
    {{patience = "x"}, "patience must be a whole number"},
    {{cooldown = -1}, "cooldown must be a whole number of 0 or more"},
    {{min_lr = "x"}, "min_lr must be a number of 0 or more"},
    {{min_delta = true}, "min_delta must be a number"},
    {{factor = 1}, "factor must be less than 1, got 1"},
    {{factor = 0}, "factor = 0 sets the learning rate to 0, which trains nothing more"},
    {{patience = -1}, "patience must be a whole number of 0 or more, got number %-1"},
    {{min_lr = NAN}, "min_lr must be a number of 0 or more, got number nan"},
    {{monitor = 3}, "monitor must be a string"},
  },
  LearningRateScheduler = {{{schedule = 0.1}, "schedule must be a function, got number 0.1"}},
  CSVLogger = {
    {{filename = 5}, "filename must be a string that is not empty"},
    {{filename = "x", separator = 1}, "separator must be a string"},
    {{filename = "x", append = "yes"}, "append must be true or false"},
    {{filename = "x", separator = ";;"}, 'separator must be one character, no quote and no line break, got string ";;"'},
    {{filename = "x", errors = "never"}, 'errors must be "raise", "disable", "retry" or'},
    {{filename = "x", budget = "fast"}, 'budget must be the time of one call as "50ms" or a share'},
  },
  TerminateOnNaN = {{{name = 1}, "name must be a string"}, {{raise_error = 1}, "raise_error must be true or false"}},
  TensorBoard = {
    {{log_dir = ""}, "log_dir must be a string that is not empty"},
    {{log_dir = 5}, "log_dir must be a string that is not empty, got number 5"},
    {{histogram_freq = -1}, "histogram_freq must be a whole number of 0 or more, got number %-1"},
    {{write_graph = 1}, "write_graph must be true or false, got number 1"},
    {{update_freq = "step"}, 'update_freq must be "epoch", "batch" or a number of batches, got string "step"'},
    {{update_freq = 0}, "update_freq must be a whole number of 1 or more, got number 0"},
    {{profile_batch = 2}, "profile_batch and embeddings_freq must be 0"},
    {{histogram_frequency = 1}, 'unknown keyword string "histogram_frequency"'},
  },
  NanGuard = {
    {{policy = "ignore"}, 'policy must be "warn", "skip", "reduce_lr", "roll_back" or "stop", got string "ignore"'},
    {{factor = 1}, "factor must be less than 1, got 1"},
    {{snapshot_every = 0}, "snapshot_every must be a whole number of 1 or more"},
    {{patience = 0}, "patience must be a whole number of 1 or more"},
    {{callback = 1}, "callback must be a function"},
  },
  GradientMonitor = {
    {{log_freq = 0}, "log_freq must be a whole number of 1 or more, got number 0"},
    {{spike = "x"}, "spike must be a number above 0"},
    {{spike = 0}, "spike must be a number above 0, got number 0"},
    {{max_norm = -1}, "max_norm must be a number above 0, got number %-1"},
    {{max_norm = 0}, "max_norm must be a number above 0, got number 0"},
    {{clip = 0}, "clip must be a number above 0, got number 0"},
    {{policy = "halt"}, 'policy must be "warn", "clip", "skip" or "stop"'},
    {{histograms = 1}, "histograms must be true or false"},
  },
  Diagnose = {
    {{window = 2}, "window must be 4 or more, got 2"},
    {{action = "halt"}, 'action must be "warn", "stop" or "reduce_lr"'},
    {{action = {overfit = "stop"}}, "action has no tag 'overfit'"},
  },
  LearningRateMonitor = {{{logging_interval = "batch"}, 'logging_interval must be "epoch" or "step"'}},
  Throughput = {{{tokens = 5}, "tokens must be a function, got number 5"}},
  MemoryMonitor = {{{every = {}}, "every must be a number or a time"}, {{limit = -1}, "limit must be a number of 0 or more"}},
  LayerFreeze = {
    {{}, "give schedule or gradual"},
    {{gradual = 0}, "gradual must be a whole number of 1 or more"},
    {{schedule = {[0] = "x"}}, "schedule must be by epoch"},
  },
  SwapEMAWeights = {{{momentum = 2}, "momentum must be 0 to 1, got 2"}, {{swap_on_epoch = 1}, "swap_on_epoch must be true or false"}},
  SWA = {
    {{swa_start = 1.5}, "swa_start must be a whole number of 0 or more"},
    {{anneal_strategy = "exp"}, 'anneal_strategy must be "cos" or "linear"'},
    {{swa_lr = "x"}, "swa_lr must be a number, a list of numbers or false"},
  },
  Progress = {
    {{bar = "x"}, "bar must be true or false"},
    {{write = 1}, "write must be a function"},
    {{clock = 1}, "clock must be a function"},
  },
  LambdaCallback = {
    {{on_epoch_end = print, name = 1}, "name must be a string"},
    {{on_epoch_end = print, errors = "ignore"}, 'errors must be "raise", "disable", "retry" or'},
    {{on_epoch_end = print, budget = 5}, 'budget must be the time of one call as "50ms" or a share'},
    {{on_epoch_end = print, group = "last"}, 'group must be "metrics", "user"'},
    {{on_epoch_end = print, writes = "f1"}, "writes must be a list of names, got string"},
  },
}

test.case("a wrong option is refused where the callback is made, by both names and the user's line", function()
  for class, cases in pairs(WRONG) do
    for _, case in ipairs(cases) do
      local err = test.raises("train." .. class .. ": " .. case[2], train[class], case[1])
      test.equal(err.kind, "usage")
      test.truthy(err.where:find("options.lua:%d+$"), err.where)
      test.falsy(err.where:find("stdlib"), err.where)
    end
  end
  test.raises("train.on: group must be", train.on, "epoch_end", {group = "x"}, print)
  test.raises("mlflow.callback: run must be a run, got number 5", mlflow.callback, {run = 5})
  test.raises("mlflow.callback: log_checkpoints must be true or false", mlflow.callback, {log_checkpoints = "no"})
  test.raises('filepath "a{b": a brace without its field', train.ModelCheckpoint, {filepath = "a{b"})
end)

test.case("right options are taken: whole numbers as floats, Keras's verbose = 0 says nothing", function()
  local stop = train.EarlyStopping {patience = 3.0, baseline = 1, min_delta = -0.5, verbose = 0, mode = "max"}
  test.equal(math.type(stop.patience), "integer")
  test.equal(stop.verbose, false)
  test.equal(train.EarlyStopping({verbose = 1}).verbose, true)
  train.EarlyStopping()
  train.ModelCheckpoint {filepath = "x/{epoch}", keep_best = 2.0, initial_value_threshold = 0.5, save_freq = "5ep"}
  train.ReduceLROnPlateau {factor = 0, cooldown = 2, min_lr = 1e-4}
  train.LambdaCallback {on_epoch_end = print, writes = {"f1"}, group = "logging", errors = "raise", name = "x"}
  train.Progress {bar = false, write = print, clock = torch.seed}
end)

test.case("every callback takes name, errors and budget, and refuses wrong ones", function()
  local required = {CSVLogger = {filename = "x.csv"}, ModelCheckpoint = {filepath = "x"},
    BackupAndRestore = {backup_dir = "x"}, LayerFreeze = {gradual = 1},
    LambdaCallback = {on_epoch_end = print}, LearningRateScheduler = {schedule = math.abs}}
  for class in pairs(WRONG) do
    local function make(extra)
      local all = {}
      for key, value in pairs(required[class] or {}) do all[key] = value end
      for key, value in pairs(extra) do all[key] = value end
      return train[class](all)
    end
    local made = make {name = "mine", errors = "retry", budget = "5%"}
    test.equal({made.name, made.errors, made.budget}, {"mine", "retry", "5%"}, class)
    test.raises(class .. ": errors must be", make, {errors = "never"})
    test.raises(class .. ": budget must be", make, {budget = 5})
  end
end)

test.case("the first option may stand alone, with the others in a table after it", function()
  local logger = train.CSVLogger("a.csv", {separator = ";", append = true})
  test.equal({logger.filename, logger.separator, logger.append}, {"a.csv", ";", true})
  test.equal(train.ModelCheckpoint("x", {keep_last = 2}).keep_last, 2)
  test.equal(train.BackupAndRestore("b", {delete_checkpoint = false}).delete_checkpoint, false)
  test.equal(train.TensorBoard("d", {histogram_freq = 2}).histogram_freq, 2)
  test.raises("unknown keyword", train.ModelCheckpoint, "x", {nonsense = 3})
  test.raises("filepath is given twice", train.ModelCheckpoint, "x", {filepath = "y"})
  test.raises("expected a table of options after filename, got number 3", train.CSVLogger, "a.csv", 3)
  test.raises("expected one table of options, got table", train.CSVLogger, {filename = "a.csv"}, {append = true})
end)

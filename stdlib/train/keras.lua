-- Keras's and Lightning's words for the arguments of train.fit, train.evaluate and train.predict: those that mean what ours
-- do are taken, of others an error says what to write.
local ordered = require "host.ordered"

local keras = {}

local function usage(where, message, hint) require("native.vm").raise("usage", ("%s: %s"):format(where, message), hint) end

local WORKERS <const> = "torch.utils.data.DataLoader(dataset, {workers = 2})"
-- What is written instead.
local OTHERS <const> = {
  workers = WORKERS, use_multiprocessing = WORKERS, max_queue_size = WORKERS, num_workers = WORKERS,
  loss_weights = "step = function(state, batch) return a + 0.5 * b, {a = a, b = b} end weighs the parts of a loss",
  run_eagerly = "every step is eager here; leave it out", jit_compile = "every step is eager here; leave it out",
  steps_per_execution = "a hook hears every batch here; leave it out", auto_scale_loss = "scaler = true",
  lr = "optimizer = torch.optim.AdamW(model:parameters(), {lr = 1e-3})",
  learning_rate = "optimizer = torch.optim.AdamW(model:parameters(), {lr = 1e-3})",
  criterion = "loss = torch.nn.functional.cross_entropy",
  max_epochs = "epochs", num_epochs = "epochs", num_train_epochs = "epochs", nb_epoch = "epochs",
  gradient_clip_val = "clip_grad_norm", max_grad_norm = "clip_grad_norm", clipvalue = "clip_grad_value",
  global_clipnorm = "clip_grad_norm", clipnorm = "clip_grad_norm (the norm of all gradients together, not of each)",
  accumulate_grad_batches = "accumulate", gradient_accumulation_steps = "accumulate",
  limit_val_batches = "limit_valid_batches", check_val_every_n_epoch = "validation_freq", fast_dev_run = "dry_run = true",
  train_dataloaders = "train", train_loader = "train", dataloader = "train", val_dataloaders = "valid", val_loader = "valid",
  validation = "valid", lr_scheduler = "scheduler", precision = "autocast = torch.bfloat16", ckpt_path = "resume",
}

---Keras's words that each function takes beside its own, and which of ours they stand for.
keras.TAKES = {
  fit = {x = "train", y = "train"},
  evaluate = {x = "data", y = "data", steps = "limit_batches", sample_weight = "data", return_dict = "verbose"},
  predict = {x = "data", steps = "limit_batches"},
}

-- A copy of what was given without other libraries' words that have no place here.
local function copy_of(where, given)
  if type(given) ~= "table" or getmetatable(given) ~= nil then return nil end
  local a = {}
  for name, value in pairs(given) do a[name] = value end
  for _, name in ipairs(ordered.keys(a)) do
    local other = OTHERS[name]
    if other and a[name] ~= nil then
      local is_whole = other:find("[=;]") or other:find("^torch")
      usage(where, ("unknown keyword '%s'"):format(name), is_whole and other or "write " .. other)
    end
  end
  return a
end

local function is_tensor(value) return require("torch").is_tensor(value) end

local function rename(where, a, theirs, ours, said)
  if a[theirs] == nil then return end
  if a[ours] ~= nil then usage(where, ("%s and %s are the same; give one"):format(ours, theirs)) end
  a[ours], a[theirs], said[ours] = a[theirs], nil, theirs
end

-- Keras's x and y become `name` = {x, y}; x alone is what `name` may be.
local function join(where, a, name, said)
  if a.x == nil then
    if a.y ~= nil then usage(where, "y goes with x", ("%s = {x, y}"):format(name)) end
    return
  end
  if a.y ~= nil then
    for _, axis in ipairs {"x", "y"} do
      if not is_tensor(a[axis]) then
        usage(where, ("%s must be a tensor where y is given, got %s"):format(axis, require("native.vm").describe(a[axis])),
          axis == "x" and "x = a DataLoader or a dataset has the targets in it" or ("%s = torch.tensor(y)"):format(axis))
      end
    end
    a.x, a.y = {a.x, a.y}, nil
  end
  rename(where, a, "x", name, said)
end

-- verbose = "auto" is the default.
local function read_verbose(where, a)
  if a.verbose == "auto" then a.verbose = nil end
  local value = a.verbose
  if value ~= nil and value ~= 0 and value ~= 1 and value ~= 2 and type(value) ~= "boolean" then
    usage(where, ('verbose must be 0 (quiet), 1 (bar), 2 (a line each epoch) or "auto", got %s'):format(
      require("native.vm").describe(value)))
  end
end

-- What was given, with x and y as `data` and the names of `renamed` in ours.
local function translate(where, given, data, renamed)
  local a, said = copy_of(where, given), {}
  if not a then return given, said end
  join(where, a, data, said)
  for _, theirs in ipairs(ordered.keys(renamed)) do rename(where, a, theirs, renamed[theirs], said) end
  read_verbose(where, a)
  return a, said
end

---The arguments of train.fit in our words.
---@param given any
---@return any
---@return table<string, string> said what the user called those that have another name now
function keras.fit(given)
  return translate("train.fit", given, "train", {validation_data = "valid", validation_steps = "limit_valid_batches"})
end

---Tensors of data and of the weights of their samples, which are the third of each batch.
---@param where string "train.fit"
---@param name string "train"
---@param data any {x, y}
---@param weights any
---@return userdata[]
function keras.weighted(where, name, data, weights)
  if not (type(data) == "table" and getmetatable(data) == nil and #data == 2 and is_tensor(data[1]) and is_tensor(data[2])) then
    usage(where, ("sample_weight goes with %s = {x, y}"):format(name),
      ("the weights are the third of each batch, or of %s = {x, y, weights}"):format(name))
  end
  if not is_tensor(weights) then
    usage(where, "sample_weight must be a tensor, got " .. require("native.vm").describe(weights),
      type(weights) == "table" and "sample_weight = torch.tensor(weights)" or nil)
  end
  return {data[1], data[2], weights}
end

---The arguments of train.evaluate; see keras.fit.
function keras.evaluate(given)
  local where = "train.evaluate"
  local a, said = translate(where, given, "data", {steps = "limit_batches"})
  if a == given then return a, said end
  if a.sample_weight ~= nil then a.data, a.sample_weight = keras.weighted(where, "data", a.data, a.sample_weight), nil end
  if a.return_dict == false then
    usage(where, "return_dict = false is not there: the scores are always by name", "scores.loss, scores.accuracy")
  end
  a.return_dict = nil
  return a, said
end

---The arguments of train.predict; see keras.fit.
function keras.predict(given) return translate("train.predict", given, "data", {steps = "limit_batches"}) end

return keras

-- train.TensorBoard: what Keras's callback writes for TensorBoard, into <log_dir>/train and <log_dir>/validation.
local options = require "train.options"
local ordered = require "host.ordered"
local vm = require "native.vm"
local writable = require "train.writable"

local TensorBoard = {__name = "TensorBoard", group = "logging", state_fields = {"batches"}}
TensorBoard.__index = TensorBoard

local KERNELS <const> = 64  -- pictures of one weight

--- The writer of a phase, made when it is first asked for: for what else the training has to show.
---@param phase? string "train" or "validation"; "train"
---@return SummaryWriter
---@example local board = train.TensorBoard {log_dir = os.tmpname() .. ".d"}
--- board:writer():add_text("notes", "a first try", 0)
--- board:writer():get_logdir():match("[^/]+$")  --> train
function TensorBoard:writer(phase)
  phase = phase or "train"
  if phase ~= "train" and phase ~= "validation" then
    vm.raise("usage", ("train.TensorBoard: phase must be \"train\" or \"validation\", got %s"):format(vm.describe(phase)))
  end
  local writer = self._writers[phase]
  if not writer then
    writer = require("torch.utils.tensorboard").SummaryWriter(self.log_dir .. "/" .. phase)
    self._writers[phase] = writer
  end
  return writer
end

--- Finds what does not fit this training before its first step.
---@private
---@param state table
function TensorBoard:check(state)
  writable.folder(self.log_dir .. "/train", ("log_dir '%s'"):format(self.log_dir), state.dry_run)
  if state.dry_run then require("host.overlay").tell(self.log_dir) end
end

local function close(self)
  for _, phase in ipairs {"train", "validation"} do
    if self._writers[phase] then self._writers[phase]:close() end
    self._writers[phase] = nil
  end
end

function TensorBoard:on_train_begin()
  close(self)
  self.batches, self._drawn, self._training = 0, false, true
end

-- What was written since the checkpoint comes once more. TensorBoard's own way, an event that says from which step on it is
-- to forget, takes the steps of batches and of epochs for the same.
function TensorBoard:on_checkpoint_load(state)
  self._drawn = self._drawn or state.batches_done > 0
  for _, phase in ipairs {"train", "validation"} do
    require("torch.utils.tensorboard.cut")(self.log_dir .. "/" .. phase, state.resumed_time)
  end
end

-- The numbers in logs, in their order; those of a script's own table by name.
local function each_number(logs, visit)
  if logs == nil then return end
  local function see(name, value)
    if type(value) == "userdata" then value = value:item() end
    if type(value) == "number" then visit(name, value) end
  end
  if getmetatable(logs) ~= nil then
    for name, value in pairs(logs) do see(name, value) end
  else
    for _, name in ipairs(ordered.keys(logs)) do see(name, logs[name]) end
  end
end

-- The model with the first batch flowing through it, or its modules alone where that is no input of its forward.
local function draw(self, state)
  self._drawn = true
  if not self.write_graph or type(state.model) ~= "userdata" then return end
  local input = type(state.inputs) == "table" and state.inputs[1] or nil
  local writer = self:writer()
  if input ~= nil then
    local ok, err = pcall(writer.add_graph, writer, state.model, {n = 1, input})
    if ok then return end
    if type(err) == "table" and err.kind == "interrupted" then error(err, 0) end
  end
  writer:add_graph(state.model)
end

function TensorBoard:on_epoch_begin()
  if not self.write_steps_per_second then return end
  self._epoch_from, self._epoch_batches = require("host").clock(), self.batches
end

function TensorBoard:on_batch_begin()
  if self.write_steps_per_second then self._batch_from = require("host").clock() end
end

-- What train.GradientMonitor has counted since the last batch.
local function write_histograms(self, state)
  self._histograms = state.histograms
  local writer = self:writer()
  for _, name in ipairs(ordered.keys(state.histograms)) do
    local h = state.histograms[name]
    if h.count > 0 then
      writer:add_histogram_raw(name, h.min, h.max, h.count, h.sum, h.sum_squares, table.move(h.edges, 2, #h.edges, 1, {}),
        h.counts, self.batches)
    end
  end
end

function TensorBoard:on_batch_end(state)
  if state.dry_run then return end
  self.batches = self.batches + 1
  if not self._drawn then draw(self, state) end
  if state.histograms ~= self._histograms then write_histograms(self, state) end
  local every = self._every
  if not every or self.batches % every ~= 0 then return end
  local writer, step = self:writer(), self.batches
  if self._batch_from then
    writer:add_scalar("batch_steps_per_second", 1 / math.max(require("host").clock() - self._batch_from, 1e-9), step)
  end
  each_number(state.logs, function(name, value) writer:add_scalar("batch_" .. name, value, step) end)
end

-- The rate of the first group, and of the others under their number.
local function write_rates(writer, optimizer, step)
  for i, group in ipairs(optimizer and optimizer.param_groups or {}) do
    if group.lr ~= nil then
      writer:add_scalar(i == 1 and "epoch_learning_rate" or "epoch_learning_rate_" .. i - 1, group.lr, step)
    end
  end
end

-- A weight as a grey picture, its least value black and its greatest white; kernels side by side.
local function picture_of(weight)
  local image = weight:detach():cpu()
  image = (image:is_complex() and image:abs() or image):float():squeeze()
  if image:dim() == 0 then image = image:view({1, 1}) end
  if image:dim() == 1 then image = image:unsqueeze(0) end
  if image:dim() == 2 and image:size(0) > image:size(1) then image = image:t() end
  image = image:nan_to_num(0)
  local least, greatest = image:min(), image:max()
  image = (image - least) / (greatest - least):clamp(1e-12)
  if image:dim() == 2 then return image:unsqueeze(0), "CHW" end
  image = image:reshape({-1, 1, image:size(-2), image:size(-1)})
  return image:narrow(0, 0, math.min(image:size(0), KERNELS)), "NCHW"
end

local function write_histogram(writer, tag, values, step)
  if values.is_sparse then values = values:coalesce():values() end
  if values:is_complex() then values = values:detach():abs() end
  if values:numel() > 0 then writer:_add_histogram_of(tag, values, step) end
end

local function write_weights(self, state)
  local writer, step = self:writer(), state.epoch
  for name, weight in state.model:named_parameters() do
    if weight:numel() == 0 then goto continue end
    write_histogram(writer, name .. "/histogram", weight, step)
    local grad = weight.grad
    if grad ~= nil then write_histogram(writer, name .. "/gradient", grad, step) end
    if self.write_images then
      local image, dataformats = picture_of(weight)
      writer:add_image(name .. "/image", image, step, nil, dataformats)
    end
    ::continue::
  end
end

function TensorBoard:on_epoch_end(state)
  if state.dry_run then return end
  if not self._drawn then draw(self, state) end
  local step, steps_done = state.epoch, state.steps_done or self.batches
  local writer = self:writer()
  each_number(state.logs, function(name, value)
    local own = name:match("^val_(.+)$")
    if own then
      local validation = self:writer("validation")
      validation:add_scalar("epoch_" .. own, value, step)
      validation:add_scalar(("evaluation_%s_vs_iterations"):format(own), value, steps_done)
    elseif name ~= "learning_rate" or not state.optimizer then
      writer:add_scalar("epoch_" .. name, value, step)
    end
  end)
  write_rates(writer, state.optimizer, step)
  if self._epoch_from then
    local seconds = math.max(require("host").clock() - self._epoch_from, 1e-9)
    writer:add_scalar("epoch_steps_per_second", (self.batches - self._epoch_batches) / seconds, step)
  end
  if self.histogram_freq > 0 and step % self.histogram_freq == 0 and type(state.model) == "userdata" then write_weights(self, state) end
end

function TensorBoard:on_evaluate_end(state)
  each_number(state.logs, function(name, value)
    self:writer("validation"):add_scalar(("evaluation_%s_vs_iterations"):format(name), value, state.steps_done or 0)
  end)
  if not self._training then close(self) end
end

function TensorBoard:on_train_end()
  self._training = false
  close(self)
end

TensorBoard.on_exception = TensorBoard.on_train_end

---Writes a training for TensorBoard: into <log_dir>/train epoch_<name> of each log, epoch_learning_rate,
---batch_<name> every `update_freq` batches (numbered from 1), the graph of the model (after the first batch it is called
---once more for it, in evaluation mode, and is as before), <weight>/histogram and <weight>/gradient of the parameters
---(of complex ones the absolute values);
---and what train.GradientMonitor{histograms = true} counts, at its batches;
---into <log_dir>/validation epoch_<name> of logs that begin with val_, without it, and evaluation_<name>_vs_iterations.
---Epochs are counted from 0. In a loop by hand: emit its events with a state that has epoch and logs, and optimizer and
---model where they are to be seen.
---@param arguments? table|string log_dir = "logs" (a string is the log_dir), histogram_freq = 0 (in epochs 0, k, 2k ...;
---0 for none), write_graph = true, update_freq = "epoch" | "batch" | a number of batches, write_images = false (weights as
---<weight>/image, with the histograms), write_steps_per_second = false, profile_batch = 0 and embeddings_freq = 0 (no
---others: a profile is none of ours, SummaryWriter.add_embedding shows embeddings), errors = "disable", budget
---@param more? table the other options, after a string
---@return table callback writer("train" or "validation") is a SummaryWriter for more
return function(arguments, more)
  arguments = options.after_first("train.TensorBoard", "log_dir", arguments, more)
  local self = setmetatable(options.of_callback("train.TensorBoard", arguments, {
    log_dir = "logs", histogram_freq = 0, write_graph = true, write_images = false, write_steps_per_second = false,
    update_freq = "epoch", profile_batch = 0, embeddings_freq = 0,
  }, {
    log_dir = "text", histogram_freq = "count", write_graph = "flag", write_images = "flag",
    write_steps_per_second = "flag",
  }), TensorBoard)
  if type(self.update_freq) == "number" then
    options.check("train.TensorBoard", self, {update_freq = "positive_count"})
    self._every = self.update_freq
  elseif self.update_freq == "batch" then
    self._every = 1
  elseif self.update_freq ~= "epoch" then
    vm.raise("usage", ("train.TensorBoard: update_freq must be \"epoch\", \"batch\" or a number of batches, got %s")
      :format(vm.describe(self.update_freq)))
  end
  if self.profile_batch ~= 0 or self.embeddings_freq ~= 0 then
    vm.raise("usage", "train.TensorBoard: profile_batch and embeddings_freq must be 0",
      "SummaryWriter.add_embedding writes embeddings for the projector")
  end
  self.batches, self._writers, self._drawn = 0, {}, false
  return self
end

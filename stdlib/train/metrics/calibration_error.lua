-- train.metrics.CalibrationError: how far the confidence is from how often it is right.
local classes = require "train.metrics.classes"
local keywords = require "host.keywords"

local NAN <const> = 0 / 0

local CalibrationError = {__name = "CalibrationError", direction = "min"}
CalibrationError.__index = CalibrationError

---Forgets every sample.
function CalibrationError:reset() self.cells, self.wrong = nil, nil end

local function cells_on(self, device)
  local torch = require "torch"
  if not self.cells then
    self.cells = torch.zeros(3, self.n_bins, {dtype = torch.float64, device = device})
  elseif self.cells.device ~= device then
    self.cells = self.cells:to(device)
  end
  return require("native.tensor").keep(self.cells)
end

---Adds a batch.
---@param pred Tensor probabilities (logits with from_logits): of yes [n, ...] or [n, 1, ...], or of classes [n, classes, ...]
---@param target Tensor classes [n, ...], or yes and no of pred's shape
---@param weight? Tensor of target's shape, or [n]
function CalibrationError:update(pred, target, weight)
  local torch = require "torch"
  local kind, count, confidence, right
  kind, count, pred, target, weight = classes.layout(self, pred, target, weight)
  target, weight = classes.targets(self, target, kind == "multiclass" and count or 2, weight)
  pred = classes.scores(self, pred, not self.from_logits):double()
  if target:numel() == 0 then return end
  if kind == "multiclass" then
    if self.from_logits then pred = pred:softmax(1) end
    local chosen
    confidence, chosen = pred:max(1)
    right = chosen:eq(target)
  else
    confidence, right = self.from_logits and pred:sigmoid() or pred, target
  end
  confidence, right = confidence:flatten(), right:flatten():double()
  local place = (confidence * self.n_bins):ceil():sub(1):clamp(0, self.n_bins - 1):to(torch.int64)
  weight = weight and weight:flatten():double() or torch.ones_like(confidence)
  local cells = cells_on(self, confidence.device)
  cells:select(0, 0):index_add_(0, place, weight)
  cells:select(0, 1):index_add_(0, place, confidence * weight)
  cells:select(0, 2):index_add_(0, place, right * weight)
end

---The error so far, 0 to 1; NaN before the first sample.
---@return number
function CalibrationError:result()
  classes.confirm(self)
  local weights, confidences, hits = table.unpack(self.cells and self.cells:tolist() or {{}, {}, {}})
  local total, error = 0.0, 0.0
  for _, weight in ipairs(weights) do total = total + weight end
  if total == 0 then
    classes.warn(self, "no samples: the result is NaN")
    return NAN
  end
  for i, weight in ipairs(weights) do
    if weight > 0 then
      local gap = math.abs(hits[i] - confidences[i]) / weight
      if self.norm == "max" then
        error = math.max(error, gap)
      else
        error = error + (self.norm == "l2" and gap * gap or gap) * weight / total
      end
    end
  end
  return self.norm == "l2" and math.sqrt(error) or error
end

---Adds what another CalibrationError has seen.
function CalibrationError:merge(other)
  classes.check_merge(self, other, {"n_bins", "from_logits"})
  classes.confirm(other)
  if other.cells then
    local cells = cells_on(self, (self.cells or other.cells).device)
    cells:add_(other.cells:to(cells.device))
  end
end

---What a checkpoint keeps.
---@return table
function CalibrationError:state_dict()
  classes.confirm(self)
  return {cells = self.cells and self.cells:clone()}
end

---Goes on where state_dict was taken.
---@param state table
function CalibrationError:load_state_dict(state)
  self:reset()
  self.cells = state.cells and require("native.tensor").keep(state.cells:clone())
end

---How far the confidence is from how often it is right, in equal parts of 0 to 1 (the upper bound of a part belongs to it). Of
---several classes the confidence is the highest probability, of yes and no that of yes.
---@param arguments? table n_bins = 15; norm = "l1" (ECE), "l2" (RMSCE) or "max" (MCE); from_logits = false; num_classes;
---ignore_index; one_hot = false; average = "binary": yes and no of any shape
---@return table metric
---@example local error = train.metrics.CalibrationError {n_bins = 2}
--- error:update(torch.tensor {0.25, 0.25, 0.75, 1.0}, torch.tensor {0, 1, 1, 1})
--- error:result()  --> 0.1875
return function(arguments)
  local where = "train.metrics.CalibrationError"
  local self = setmetatable(keywords.check(where, arguments, {
    n_bins = 15, norm = "l1", from_logits = false, num_classes = keywords.none, one_hot = false, ignore_index = keywords.none,
    average = keywords.none,
  }), CalibrationError)
  classes.check(where, self, {"binary"})
  require("train.options").check(where, self, {n_bins = "positive_count", norm = {"l1", "l2", "max"}})
  self:reset()
  return self
end

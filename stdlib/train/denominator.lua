-- What a loss is a mean over: the loss that the backward takes and the one that is logged, and how much both count.
--
-- Every average over a data set, and every accumulation window, is the sum of losses over the sum of counts, so that it
-- equals that of the whole data set at once, whatever the batches are.
local batches = require "train.batches"
local torch = require "torch"

local magnitude <const> = require "native.magnitude"
local is_tensor <const>, count_equal <const>, dimensions <const> = torch.is_tensor, magnitude.count_equal, magnitude.dimensions

local Denominator = {}
Denominator.__index = Denominator

local function usage(message, hint) require("native.vm").raise("usage", message, hint) end

-- A number where it costs no waiting for a device.
local function plain(count) return is_tensor(count) and count.is_cpu and count:item() or count end

-- Losses over classes whose mean leaves out ignore_index and weighs by class: what they are called with.
local function classes_of(loss)
  if type(loss) ~= "userdata" then
    local F = torch.nn.functional
    return (loss == F.cross_entropy or loss == F.nll_loss) and {ignore_index = -100, plain = true} or nil
  end
  local name = loss.__name
  if name ~= "CrossEntropyLoss" and name ~= "NLLLoss" then return nil end
  local ignore_index, weight = loss.ignore_index, loss.weight
  return {ignore_index = ignore_index, weight = weight, plain = weight == nil and math.type(ignore_index) == "integer"}
end

-- The targets that count, 1 or the weight of their class each; nil where all do.
local function counted_targets(classes, target)
  if not is_tensor(target) or target:is_floating_point() then return nil end
  local counts = target:ne(classes.ignore_index)
  if classes.weight == nil then return counts end
  return classes.weight:to(torch.float64)[target:where(counts, 0)]:mul(counts)
end

-- How many targets count, or the sum of their weights; nil where all do.
local function count_of(classes, target)
  if classes.plain then
    local ignored, all = count_equal(target, classes.ignore_index)
    if ignored then return all - ignored end
  end
  local counts = counted_targets(classes, target)
  return counts and plain(counts:sum())
end

-- The loss as a tensor for each example.
local function each_example(loss, where)
  if type(loss) == "userdata" and type(loss.reduction) == "string" then
    return function(output, target)
      local reduction = loss.reduction
      loss.reduction = "none"
      local _ <close> = setmetatable({}, {__close = function() loss.reduction = reduction end})
      return loss(output, target)
    end
  end
  for name, f in pairs(type(loss) == "function" and torch.nn.functional or {}) do
    if f == loss and name:find("loss$") or f == loss and name:find("entropy") then
      return function(output, target) return loss(output, target, {reduction = "none"}) end
    end
  end
  return function(output, target)
    local value = loss(output, target)
    if not is_tensor(value) or value:dim() == 0 then
      usage(where .. ": weights of samples or classes need a loss for each example, got one number",
        'leave its mean out, or give a loss of torch.nn, whose reduction can be "none"')
    end
    return value
  end
end

---@param options table loss (callable, or nil), count = function(batch, state) or nil, reduction or nil, compat or nil, where
function Denominator.new(options)
  local loss = options.loss
  local own = type(loss) == "userdata" and loss.reduction
  local reduction = options.reduction or type(own) == "string" and own or "mean"
  return setmetatable({count = options.count, sums = reduction == "sum", keras = options.compat == "keras",
    classes = not options.count and reduction ~= "sum" and classes_of(loss) or nil, where = options.where,
    each = loss and each_example(loss, options.where)}, Denominator)
end

-- Weights of examples, of the loss's shape.
local function spread(weight, loss, where)
  if weight:size(0) ~= loss:size(0) then
    require("native.vm").raise("shape", ("%s: %d weights for %d examples"):format(where, weight:size(0), loss:size(0)))
  end
  while weight:dim() < loss:dim() do weight = weight:unsqueeze(-1) end
  while weight:dim() > loss:dim() and weight:size(-1) == 1 do weight = weight:squeeze(-1) end
  local fits = weight:dim() == loss:dim()
  for d = 1, fits and loss:dim() - 1 or 0 do
    fits = fits and (weight:size(d) == 1 or weight:size(d) == loss:size(d))
  end
  if not fits then
    require("native.vm").raise("shape", ("%s: weights of shape %s for a loss of shape %s"):format(where, tostring(weight.shape),
      tostring(loss.shape)))
  end
  return weight:expand_as(loss)
end

-- A loss for each example: the mean that the backward takes, and its count.
local function of_examples(self, state, batch, loss)
  local total
  local count = self.count and self.count(batch, state)
  local counts = self.classes and is_tensor(state.target) and tostring(state.target.shape) == tostring(loss.shape)
    and counted_targets(self.classes, state.target) or nil
  local weight = state.sample_weight
  if weight then
    weight = spread(weight:to(loss.device), loss, self.where)
    total = (loss * weight):sum()
    if not self.keras then count = count or (counts and weight * counts or weight):sum() end
  else
    total = loss:sum()
    count = count or counts and counts:sum()
  end
  count = plain(count) or loss:numel()
  return total, count
end

local function divided(total, count)
  if type(count) == "number" then return count == 0 and total * 0 or total / count end
  return total / count:clamp {min = torch.finfo(torch.float32).tiny}
end

---What a step's loss and its parts count. Sets state.samples, state.count and state.loss, the one for the backward.
---@param state table
---@param batch any
---@param loss Tensor|number what the step returned
---@param parts table<string, Tensor|number>?
---@return Tensor|number mean to log
---@return number|Tensor count
---@return table? parts their means
function Denominator:measure(state, batch, loss, parts)
  if loss == nil then
    usage(("%s: %s, got nil"):format(self.where, self.each and "loss must return a tensor" or "step must return the loss"))
  end
  state.samples = state.samples or batches.samples(batch)
  local count = state.count
  local mean = loss
  if (dimensions(loss) or 0) > 0 then
    local total, examples = of_examples(self, state, batch, loss)
    count = count or examples
    mean = divided(total, count)
    loss = self.sums and total or mean
  else
    if not count then
      if self.count then count = plain(self.count(batch, state))
      elseif self.classes and state.target ~= nil then
        count = count_of(self.classes, state.target)
      end
    end
    count = count or state.samples
    if self.sums then mean = divided(is_tensor(loss) and loss:detach() or loss, count) end
  end
  state.count, state.loss = count, loss
  if parts == nil then return mean, count end
  local means = {}
  if type(parts) ~= "table" then
    usage(("%s: step must return the loss and a table of its parts, got %s"):format(self.where,
      require("native.vm").describe(parts)))
  end
  for name, part in pairs(parts) do
    if type(part) ~= "number" and not is_tensor(part) then
      usage(("%s: the part '%s' of the loss must be a number or a tensor, got %s"):format(self.where, name,
        require("native.vm").describe(part)))
    end
    if is_tensor(part) and part:dim() > 0 then part = divided(part:detach():sum(), self.sums and count or part:numel())
    elseif self.sums then part = divided(part, count) end
    means[name] = part
  end
  return mean, count, means
end

return Denominator

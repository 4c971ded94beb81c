-- nn.AdaptiveLogSoftmaxWithLoss: log-softmax of many classes, rare ones in clusters (Grave 2017).
local functional = require "torch.nn.functional"
local layer = require "torch.nn.layer"
local linear = require "torch.nn.linear"
local torch = require "torch"
local vm = require "native.vm"

local log_softmax <const> = functional.log_softmax

--- Log-softmax of many classes and its loss: the frequent ones first, then clusters of ever rarer ones behind ever
--- smaller projections.
---@param in_features integer
---@param n_classes integer
---@param cutoffs integer[] where the clusters begin, ascending, each between 1 and n_classes - 1
---@param div_value number each cluster's projection is so many times smaller than the last, 4.0
---@param head_bias boolean the first part adds a vector, false
---@param device any of its tensors, the default device
---@param dtype dtype? of its tensors, the default dtype
---@example nn.AdaptiveLogSoftmaxWithLoss(8, 10, {4, 7}):log_prob(torch.ones(3, 8)).shape  --> torch.Size([3, 10])
---@source torch.nn.AdaptiveLogSoftmaxWithLoss
local AdaptiveLogSoftmaxWithLoss, parse = layer("AdaptiveLogSoftmaxWithLoss",
  "in_features, n_classes, cutoffs, div_value=4.0, head_bias=false, device=nil, dtype=nil",
  "in_features: size, n_classes: size, cutoffs: integers, div_value: number, head_bias: flag")

local function check_cutoffs(cutoffs, classes)
  local last = 0
  for _, cutoff in ipairs(cutoffs) do
    if cutoff <= last or cutoff > classes - 1 then
      vm.raise("usage", "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where "
        .. "each value is between 1 and n_classes-1")
    end
    last = cutoff
  end
end

function AdaptiveLogSoftmaxWithLoss:__init(...)
  local nn = torch.nn
  local in_features, classes, cutoffs, div_value, head_bias, device, dtype = parse(...)
  if type(cutoffs) ~= "table" then vm.raise("usage", "cutoffs should be a sequence of length larger than 0") end
  check_cutoffs(cutoffs, classes)
  local bounds = table.move(cutoffs, 1, #cutoffs, 1, {})
  bounds[#bounds + 1] = classes
  self.in_features, self.n_classes, self.cutoffs = in_features, classes, bounds
  self.div_value, self.head_bias = div_value, head_bias
  self.shortlist_size, self.n_clusters = bounds[1], #bounds - 1
  self.head_size = self.shortlist_size + self.n_clusters
  local made = {bias = head_bias, device = device, dtype = dtype}
  local plain = {bias = false, device = device, dtype = dtype}
  self.head = linear.Linear(in_features, self.head_size, made)
  self.tail = nn.ModuleList()
  for i = 1, self.n_clusters do
    local hidden = math.tointeger(in_features // div_value ^ i)
    self.tail:append(nn.Sequential(linear.Linear(in_features, hidden, plain),
      linear.Linear(hidden, bounds[i + 1] - bounds[i], plain)))
  end
end

--- Draws the parameters anew, as PyTorch does when it makes the layer.
---@example local layer = nn.AdaptiveLogSoftmaxWithLoss(8, 10, {4, 7})
--- nn.init.zeros_(layer.head.weight)
--- layer:reset_parameters()
--- torch.count_nonzero(layer.head.weight):item()  --> 48
function AdaptiveLogSoftmaxWithLoss:reset_parameters()
  self.head:reset_parameters()
  for _, projection in self.tail:iter() do
    projection[0]:reset_parameters()
    projection[1]:reset_parameters()
  end
end

local function check_shapes(x, target)
  local dims = target:dim()
  if dims == 1 then
    if x:size(0) ~= target:size(0) then
      vm.raise("shape", "Input and target should have the same size in the batch dimension.")
    end
    if x:dim() ~= 2 then
      vm.raise("shape", ("1D target tensor expects 2D input tensors, but found inputs with size %s"):format(tostring(x.shape)))
    end
  elseif dims == 0 then
    if x:dim() ~= 1 then
      vm.raise("shape", ("0D target tensor expects 1D input tensors, but found inputs with size %s"):format(tostring(x.shape)))
    end
  else
    vm.raise("shape", "0D or 1D target tensor expected, multi-target not supported")
  end
end

---@param x Tensor [batch, in_features] or [in_features]
---@param target Tensor int64 classes [batch] or 0-dim
---@return Tensor output log-probabilities of the targets
---@return Tensor loss 0-dim, the negative mean
function AdaptiveLogSoftmaxWithLoss:forward(x, target)
  check_shapes(x, target)
  local batched = target:dim() > 0
  if not batched then x, target = x:unsqueeze(0), target:unsqueeze(0) end
  local batch, used, low = target:size(0), 0, 0
  local output, gathered = x:new_zeros(batch), target:new_empty(batch)
  for i, high in ipairs(self.cutoffs) do
    local mask = target:ge(low) & target:lt(high)
    local rows = mask:nonzero():squeeze()
    local count = rows:numel()
    if count > 0 then
      local chosen = target[mask]
      if i == 1 then
        gathered:index_copy_(0, rows, chosen)
      else
        local cluster = self.tail[i - 2](x:index_select(0, rows))
        gathered:index_fill_(0, rows, self.shortlist_size + i - 2)
        local of_target = log_softmax(cluster, 1):gather(1, (chosen - low):unsqueeze(1))
        output:index_copy_(0, rows, of_target:squeeze(1))
      end
      used = used + count
    end
    low = high
  end
  if used ~= batch then
    vm.raise("usage", ("Target values should be in [0, %d], but values in range [%d, %d] were found. "):format(
      self.n_classes - 1, target:min():item(), target:max():item()))
  end
  output = output:add_(log_softmax(self.head(x), 1):gather(1, gathered:unsqueeze(1)):squeeze())
  local loss = (-output):mean()
  return batched and output or output:squeeze(0), loss
end

local function full_log_prob(self, x, head)
  local first = log_softmax(head, 1)
  local parts, size = {first:narrow(1, 0, self.shortlist_size)}, self.shortlist_size
  for i = 1, self.n_clusters do
    parts[i + 1] = log_softmax(self.tail[i - 1](x), 1) + first:select(1, size + i - 1):unsqueeze(1)
  end
  return torch.cat(parts, 1)
end

--- Log-probabilities of all classes.
---@param x Tensor [batch, in_features]
---@return Tensor [batch, n_classes]
---@example nn.AdaptiveLogSoftmaxWithLoss(8, 10, {4, 7}):log_prob(torch.ones(3, 8)):exp():sum(1):detach()
--- --> tensor([1.0000, 1.0000, 1.0000])
function AdaptiveLogSoftmaxWithLoss:log_prob(x) return full_log_prob(self, x, self.head(x)) end

--- The most probable class of each sample; clusters are looked at only where they can win.
---@param x Tensor [batch, in_features]
---@return Tensor int64 [batch]
---@example nn.AdaptiveLogSoftmaxWithLoss(8, 10, {4, 7}):predict(torch.ones(3, 8)).shape  --> torch.Size([3])
function AdaptiveLogSoftmaxWithLoss:predict(x)
  local head = self.head(x)
  local output = head:argmax(1)
  local in_cluster = output:ge(self.shortlist_size)
  if not in_cluster:any():item() then return output end
  if in_cluster:all():item() then return full_log_prob(self, x, head):argmax(1) end
  output[in_cluster] = full_log_prob(self, x[in_cluster], head[in_cluster]):argmax(1)
  return output
end

return {AdaptiveLogSoftmaxWithLoss = AdaptiveLogSoftmaxWithLoss}

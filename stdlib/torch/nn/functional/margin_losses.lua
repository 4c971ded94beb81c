-- Losses of margins and of embeddings' distances, of torch.nn.functional.
local catalog = require "native.ops"
local reduction = require "torch.nn.functional.reduction"
local signature = require "torch.signature"
local text = require "torch.python_text"
local vm = require "native.vm"

local margins = {}

local function op(name) return catalog.find_any("aten::" .. name) end

local function fail(message) vm.raise("usage", message) end

-- f(inputs..., size_average, reduce, reduction): the operator with the reduction's number last.
local function reduced(name, spec)
  local of = op(name)
  local parse = signature("F." .. name, spec .. ", size_average=nil, reduce=nil, reduction='mean'")
  local _, commas = spec:gsub(",", "")
  if commas == 1 then
    return function(...)
      local a, b, average, reduce, how = parse(...)
      return of(a, b, reduction.number(how, average, reduce))
    end
  elseif commas == 2 then
    return function(...)
      local a, b, c, average, reduce, how = parse(...)
      return of(a, b, c, reduction.number(how, average, reduce))
    end
  end
  return function(...)
    local a, b, c, d, average, reduce, how = parse(...)
    return of(a, b, c, d, reduction.number(how, average, reduce))
  end
end

--- log(1 + exp(-target input)), for targets of 1 and -1.
---@param input Tensor
---@param target Tensor 1 or -1, of input's shape
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over all elements, 'mean'
---@return Tensor 0-dim, or of input's shape
---@example F.soft_margin_loss(torch.zeros(2), torch.tensor{1., -1.})  --> tensor(0.6931)
---@source torch.nn.functional.soft_margin_loss
margins.soft_margin_loss = reduced("soft_margin_loss", "input, target")

--- The margins by which other classes come near the target classes.
---@param input Tensor [batch, classes] or [classes]
---@param target Tensor int64 classes of input's shape, ended by -1
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over the samples, 'mean'
---@return Tensor 0-dim, or [batch]
---@example F.multilabel_margin_loss(torch.tensor{0.5, 0.25, 0.25}, torch.tensor{0, -1, -1})  --> tensor(0.5000)
---@source torch.nn.functional.multilabel_margin_loss
margins.multilabel_margin_loss = reduced("multilabel_margin_loss", "input, target")

--- input where target is 1, max(0, margin - input) where it is -1.
---@param input Tensor distances
---@param target Tensor 1 or -1, of input's shape
---@param margin number 1.0
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over all elements, 'mean'
---@return Tensor 0-dim, or of input's shape
---@example F.hinge_embedding_loss(torch.tensor{0.5, 0.5}, torch.tensor{1., -1.})  --> tensor(0.5000)
---@source torch.nn.functional.hinge_embedding_loss
margins.hinge_embedding_loss = reduced("hinge_embedding_loss", "input, target, margin=1.0")

--- 1 - cos where target is 1, max(0, cos - margin) where it is -1.
---@param input1 Tensor [batch, features] or [features]
---@param input2 Tensor of input1's shape
---@param target Tensor 1 or -1 [batch]
---@param margin number -1 to 1, 0
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over the samples, 'mean'
---@return Tensor 0-dim, or [batch]
---@example F.cosine_embedding_loss(torch.eye(2), torch.eye(2), torch.ones(2))  --> tensor(0.)
---@source torch.nn.functional.cosine_embedding_loss
margins.cosine_embedding_loss = reduced("cosine_embedding_loss", "input1, input2, target, margin=0")

local ranking <const> = op "margin_ranking_loss"
local parse_ranking = signature("F.margin_ranking_loss",
  "input1, input2, target, margin=0, size_average=nil, reduce=nil, reduction='mean'")

--- max(0, -target (input1 - input2) + margin).
---@param input1 Tensor
---@param input2 Tensor of input1's shape
---@param target Tensor 1 (input1 ranks higher) or -1
---@param margin number 0
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over all elements, 'mean'
---@return Tensor 0-dim, or of input1's shape
---@example F.margin_ranking_loss(torch.tensor{1.}, torch.tensor{3.}, torch.tensor{1.})  --> tensor(2.)
---@source torch.nn.functional.margin_ranking_loss
function margins.margin_ranking_loss(...)
  local input1, input2, target, margin, average, reduce, how = parse_ranking(...)
  local number = reduction.number(how, average, reduce)
  if input1:dim() ~= input2:dim() or input1:dim() ~= target:dim() then
    vm.raise("shape", ("margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: %s, "
      .. "input2: %s, target: %s "):format(tostring(input1.shape), tostring(input2.shape), tostring(target.shape)))
  end
  return ranking(input1, input2, target, margin, number)
end

local multi_margin <const> = op "multi_margin_loss"
local parse_multi = signature("F.multi_margin_loss",
  "input, target, p=1, margin=1.0, weight=nil, size_average=nil, reduce=nil, reduction='mean'")

--- The margins by which other classes come near the target class.
---@param input Tensor [batch, classes] or [classes]
---@param target Tensor int64 classes [batch]
---@param p integer exponent, 1 or 2; 1
---@param margin number 1.0
---@param weight Tensor? [classes], nil
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over the samples, 'mean'
---@return Tensor 0-dim, or [batch]
---@example F.multi_margin_loss(torch.tensor{{0.5, 1.}}, torch.tensor{1})  --> tensor(0.2500)
---@source torch.nn.functional.multi_margin_loss
function margins.multi_margin_loss(...)
  local input, target, p, margin, weight, average, reduce, how = parse_multi(...)
  local number = reduction.number(how, average, reduce)
  if p ~= 1 and p ~= 2 then fail "only p == 1 and p == 2 supported" end
  if weight ~= nil and weight:dim() ~= 1 then vm.raise("shape", "weight must be one-dimensional") end
  return multi_margin(input, target, p, margin, weight, number)
end

local log_sigmoid <const> = op "log_sigmoid"
local parse_multilabel = signature("F.multilabel_soft_margin_loss",
  "input, target, weight=nil, size_average=nil, reduce=nil, reduction='mean'")

--- Binary cross entropy with logits of every class, averaged over the classes.
---@param input Tensor logits [batch, classes]
---@param target Tensor 0 or 1, of input's shape
---@param weight Tensor? [classes], nil
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over the samples, 'mean'
---@return Tensor 0-dim, or [batch]
---@example F.multilabel_soft_margin_loss(torch.zeros(1, 2), torch.tensor{{0., 1.}})  --> tensor(0.6931)
---@source torch.nn.functional.multilabel_soft_margin_loss
function margins.multilabel_soft_margin_loss(...)
  local input, target, weight, average, reduce, how = parse_multilabel(...)
  how = reduction.name(how, average, reduce)
  local loss = -(target * log_sigmoid(input) + (1 - target) * log_sigmoid(-input))
  if weight ~= nil then loss = loss * weight end
  local last = input:dim() - 1
  return reduction.apply(loss:sum(last) / input:size(last), how, "%s is not valid")
end

local triplet <const>, pairwise <const> = op "triplet_margin_loss", op "pairwise_distance"
local clamp_min <const>, minimum <const> = op "clamp_min", op "minimum"
local parse_triplet = signature("F.triplet_margin_loss", "anchor, positive, negative, margin=1.0, p=2, eps=1e-6, "
  .. "swap=false, size_average=nil, reduce=nil, reduction='mean'")
local parse_with_distance = signature("F.triplet_margin_with_distance_loss",
  "anchor, positive, negative, *, distance_function=nil, margin=1.0, swap=false, reduction='mean'")

local function check_margin(margin)
  if margin <= 0 then fail("margin must be greater than 0, got " .. text.value(margin)) end
end

--- max(0, d(anchor, positive) - d(anchor, negative) + margin) with p-norms as distances.
---@param anchor Tensor [batch, features] or [features]
---@param positive Tensor of anchor's shape
---@param negative Tensor of anchor's shape
---@param margin number 1.0
---@param p number the norm's exponent, 2
---@param eps number added to the differences, 1e-6
---@param swap boolean takes d(positive, negative) where that is less, false
---@param size_average boolean? deprecated, nil
---@param reduce boolean? deprecated, nil
---@param reduction string over the samples, 'mean'
---@return Tensor 0-dim, or [batch]
---@example F.triplet_margin_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor{{3., 4.}})  --> tensor(0.)
---@source torch.nn.functional.triplet_margin_loss
function margins.triplet_margin_loss(...)
  local anchor, positive, negative, margin, p, eps, swap, average, reduce, how = parse_triplet(...)
  local number = reduction.number(how, average, reduce)
  check_margin(margin)
  return triplet(anchor, positive, negative, margin, p, eps, swap, number)
end

--- triplet_margin_loss with a distance of one's own.
---@param anchor Tensor [batch, features]
---@param positive Tensor of anchor's shape
---@param negative Tensor of anchor's shape
---@param distance_function? fun(a: Tensor, b: Tensor): Tensor the Euclidean distance
---@param margin number 1.0
---@param swap boolean takes d(positive, negative) where that is less, false
---@param reduction string over the samples, 'mean'
---@return Tensor 0-dim, or [batch]
---@example local function distance(a, b) return (a - b):abs():sum(-1) end
--- local a, p, n = torch.zeros(1, 2), torch.ones(1, 2), torch.full({1, 2}, 1.25)
--- F.triplet_margin_with_distance_loss(a, p, n, {distance_function = distance})  --> tensor(0.5000)
---@source torch.nn.functional.triplet_margin_with_distance_loss
function margins.triplet_margin_with_distance_loss(...)
  local anchor, positive, negative, distance, margin, swap, how = parse_with_distance(...)
  reduction.number(how)
  check_margin(margin)
  local a, p, n = anchor:dim(), positive:dim(), negative:dim()
  if a ~= p or p ~= n then
    vm.raise("shape", ("The anchor, positive, and negative tensors are expected to have the same number of dimensions, but "
      .. "got: anchor %dD, positive %dD, and negative %dD inputs"):format(a, p, n))
  end
  distance = distance or pairwise
  local near, far = distance(anchor, positive), distance(anchor, negative)
  if swap then far = minimum(far, distance(positive, negative)) end
  return reduction.apply(clamp_min(margin + near - far, 0), how, "%s is not a valid value for reduction")
end

return margins

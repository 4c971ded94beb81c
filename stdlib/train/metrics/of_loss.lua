-- What a loss says of the scores and targets that metrics by name look at: logits or probabilities, one-hot or labels.
local names = require "train.metrics.names"
local torch = require "torch"

local CLASSES <const> = {one_hot = true}
local LOGITS_OF_CLASSES <const> = {one_hot = true, from_logits = true}
local LABELS <const> = {}
local LOGITS_OF_LABELS <const> = {from_logits = true}

-- By the names of PyTorch's and Keras's losses; of log-probabilities the softmax is what they are of.
local KNOWN <const> = {
  cross_entropy = LOGITS_OF_CLASSES, CrossEntropyLoss = LOGITS_OF_CLASSES, nll = LOGITS_OF_CLASSES,
  nll_loss = LOGITS_OF_CLASSES, NLLLoss = LOGITS_OF_CLASSES, kl_div = LOGITS_OF_CLASSES, KLDivLoss = LOGITS_OF_CLASSES,
  categorical_crossentropy = CLASSES, sparse_categorical_crossentropy = CLASSES,
  binary_crossentropy = LABELS, binary_cross_entropy = LABELS, BCELoss = LABELS,
  binary_cross_entropy_with_logits = LOGITS_OF_LABELS, BCEWithLogitsLoss = LOGITS_OF_LABELS,
  multilabel_soft_margin_loss = LOGITS_OF_LABELS, MultiLabelSoftMarginLoss = LOGITS_OF_LABELS,
}

local function name_of(loss)
  if type(loss) == "string" then return loss end
  if type(loss) == "userdata" then return loss.__name end
  for name, f in pairs(type(loss) == "function" and torch.nn.functional or {}) do
    if f == loss and KNOWN[name] then return name end
  end
end

-- Those that choose by the shapes and the loss, as in Keras.
local CHOOSES <const> = {accuracy = true, acc = true}

---A metric by its name beside a loss. Targets of the scores' shape are one-hot under a loss of classes, labels under one of
---yes and no; scores are logits where the loss takes logits. A loss that says nothing: "accuracy" takes them for one-hot as
---Keras does, other metrics for labels, and either warns once.
---@param where string
---@param name string
---@param loss any a name, a function, a module, or nil
---@return table metric
return function(where, name, loss)
  local metric, known = names.make(where, name), KNOWN[name_of(loss)]
  local options = {}
  for option, value in pairs(known or CHOOSES[name:lower()] and CLASSES or {}) do
    if metric[option] == false then options[option] = value end
  end
  if next(options) then metric = names.make(where, name, options) end
  if not known and metric.one_hot ~= nil then metric.guesses = not names.is_explicit(name, "one_hot") end
  return metric
end

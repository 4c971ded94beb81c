-- Metrics by name: their classes in any spelling, and the names that Keras, scikit-learn and torchmetrics have for them.
local keywords = require "host.keywords"
local ordered = require "host.ordered"
local vm = require "native.vm"

local names = {}

-- Other names, in any case and with or without underscores -> the class, and the options that make it that.
local ALIASES <const> = {
  acc = {"Accuracy"}, accuracy_score = {"Accuracy"}, binary_accuracy = {"Accuracy", one_hot = false},
  categorical_accuracy = {"Accuracy", one_hot = true}, sparse_categorical_accuracy = {"Accuracy"},
  top_k_categorical_accuracy = {"Accuracy", top_k = 5, one_hot = true},
  sparse_top_k_categorical_accuracy = {"Accuracy", top_k = 5}, top_k_accuracy = {"Accuracy", top_k = 5},
  top_k_accuracy_score = {"Accuracy", top_k = 5}, top_5_accuracy = {"Accuracy", top_k = 5},
  auc_roc = {"AUC"}, auroc = {"AUC"}, roc_auc = {"AUC"}, roc_auc_score = {"AUC"},
  ap = {"AveragePrecision"}, average_precision_score = {"AveragePrecision"}, auc_pr = {"AveragePrecision"},
  pr_auc = {"AveragePrecision"},
  balanced_accuracy_score = {"BalancedAccuracy"},
  bleu_score = {"BLEU"}, sacrebleu = {"BLEU"},
  brier_score = {"Brier"}, brier_score_loss = {"Brier"},
  ece = {"CalibrationError"}, expected_calibration_error = {"CalibrationError"},
  cohen_kappa_score = {"CohenKappa"}, kappa = {"CohenKappa"},
  cosine = {"CosineSimilarity"},
  dice_coefficient = {"DiceScore"},
  f1_score = {"F1"}, fbeta_score = {"FBeta"},
  jaccard = {"JaccardIndex"}, jaccard_score = {"JaccardIndex"}, mean_iou = {"JaccardIndex"}, binary_iou = {"JaccardIndex"},
  bce = {"LogLoss", one_hot = false}, binary_crossentropy = {"LogLoss", one_hot = false},
  categorical_crossentropy = {"LogLoss", one_hot = true},
  cross_entropy = {"LogLoss", from_logits = true}, sparse_categorical_crossentropy = {"LogLoss"},
  map = {"MeanAveragePrecision"},
  matthews_corrcoef = {"MatthewsCorrCoef"}, mcc = {"MatthewsCorrCoef"},
  reciprocal_rank = {"MRR"}, mean_reciprocal_rank = {"MRR"},
  ndcg_score = {"NDCG"},
  pearsonr = {"PearsonCorrCoef"}, ppl = {"Perplexity"},
  precision_score = {"Precision"}, recall_score = {"Recall"}, sensitivity = {"Recall"}, true_positive_rate = {"Recall"},
  pr_curve = {"PrecisionRecallCurve"},
  rouge_score = {"ROUGE"}, spearmanr = {"SpearmanCorrCoef"},
  true_negative_rate = {"Specificity"},
}

local function plain(name) return (name:lower():gsub("[_%s%-]", "")) end

-- "ROCCurve" -> "roc_curve"
---@param class string
---@return string
function names.snake(class)
  if class == "IoU" then return "iou" end
  return (class:gsub("(%u)(%u%l)", "%1_%2"):gsub("([%l%d])(%u)", "%1_%2"):lower())
end

local by_plain, listed  -- made when first used

local function read()
  by_plain, listed = {}, {}
  for name, what in pairs(ALIASES) do by_plain[plain(name)] = what end
  for class in pairs(require "train.metrics") do
    by_plain[plain(class)], listed[#listed + 1] = {class}, names.snake(class)
  end
  table.sort(listed)
end

---A new metric by its name.
---@param where string
---@param name string "accuracy", "ROCCurve", "roc_curve", "mse", "f1_score"
---@param options? table options of the class, where the name says nothing of them
---@return table metric
function names.make(where, name, options)
  if not by_plain then read() end
  local found = by_plain[plain(name)]
  if not found then
    local known = ordered.keys(ALIASES)
    local near = keywords.did_you_mean(name:lower(), table.move(listed, 1, #listed, #known + 1, known))
    vm.raise("usage", ("%s: unknown metric '%s'; %svalid: %s"):format(where, name, near and near .. " " or "",
      keywords.listed(listed, near ~= nil)), "or a metric of your own: metrics = {mine = function(pred, target) return mean end}")
  end
  local all = {}
  for key, value in pairs(options or {}) do all[key] = value end
  for key, value in pairs(found) do
    if type(key) == "string" then all[key] = value end
  end
  local class = require("train.metrics")[found[1]]
  return next(all) and class(all) or class()
end

---Is it a metric, a table with update, result and reset?
---@param value any
---@return boolean
function names.is_metric(value)
  return type(value) == "table" and value.update ~= nil and value.result ~= nil and value.reset ~= nil
end

---Does a metric's name say what an option is?
---@param name string "categorical_accuracy"
---@param option string "one_hot"
---@return boolean
function names.is_explicit(name, option)
  if not by_plain then read() end
  return by_plain[plain(name)][option] ~= nil
end

---The names that an error lists.
---@return string[]
function names.all()
  if not by_plain then read() end
  return listed
end

return names

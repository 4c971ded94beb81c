-- PyTorch's page about a name of ours.
local pages = require "host.help.pages"

local link = {}

-- Operators that PyTorch documents as functions of torch.nn.functional alone.
local function is_layer(name) return require("torch.sentences.layers")[name] ~= nil end

local SITE <const> = "https://docs.pytorch.org/docs/stable/"

-- Namespaces whose functions stand on one page.
local PAGES <const> = {
  ["torch.special"] = "special.html", ["torch.utils.data"] = "data.html", ["torch.nn.init"] = "nn.init.html",
  ["torch.utils.checkpoint"] = "checkpoint.html", ["torch.nested"] = "nested.html",
  ["torch.monitor"] = "monitor.html", ["torch.library"] = "library.html",
}

-- Namespaces whose functions have a page each.
local SPACES <const> = {
  ["torch"] = true, ["torch.Tensor"] = true, ["torch.nn"] = true, ["torch.nn.functional"] = true,
  ["torch.nn.utils"] = true, ["torch.optim"] = true, ["torch.optim.lr_scheduler"] = true, ["torch.linalg"] = true,
  ["torch.fft"] = true, ["torch.autograd"] = true, ["torch.cuda"] = true, ["torch.signal.windows"] = true,
  ["torch.sparse"] = true, ["torch.func"] = true, ["torch.masked"] = true,
}

-- Names of ours in PyTorch's namespaces, and those of PyTorch that have no page.
local OURS <const> = {
  ["torch.nn.class"] = true, ["torch.nn.is_module"] = true, ["torch.nn.CrossMapLRN2d"] = true,
  ["torch.nn.freeze"] = true, ["torch.nn.unfreeze"] = true, ["torch.nn.is_frozen"] = true,
  ["torch.nn.summary"] = true, ["torch.nn.plot"] = true,
  ["torch.nn.RNNCellBase"] = true, ["torch.cuda.cudnn_version"] = true,
  ["torch.cuda.versions"] = true,
  ["torch.autograd.Variable"] = true, ["torch.optim.class"] = true,
  ["torch.nn.init.calculate_fan_in_and_fan_out"] = true, ["torch.nn.utils.get_grad_norm"] = true,
}

--- The page about what an entry describes; nil if PyTorch has none, or we do not know.
---@param entry table
---@return string?
function link.of(entry)
  local path = entry.kind ~= "class" and entry.source and entry.source:match("^torch[%w_%.]*") or entry.path
  path = path:gsub("^torch%.Tensor%.rep$", "torch.Tensor.repeat")
  local space, last = path:match("^(.*)%.([%w_]+)$")
  if not space or OURS[path] or entry.kind == "namespace" or entry.kind == "value" then return nil end
  local listed = pages[space]
  if listed and not listed[last] then
    local other = entry.operator and pages["torch.Tensor"][last] and "torch.Tensor"
      or entry.operator and is_layer(last) and "torch.nn.functional"
    if not other or space == "torch.Tensor" then return nil end
    space, path = other, other .. "." .. (last == "log_sigmoid" and "logsigmoid" or last)
  end
  if PAGES[space] then return SITE .. PAGES[space] .. "#" .. path end
  local class = space:match("([%w_]+)$")
  if SPACES[space] and (class == "Tensor" or not class:match("^%u")) then
    return ("%sgenerated/%s.html"):format(SITE, path)
  end
  return nil
end

return link

-- PyTorch's page about a name of ours.
local operators = require "host.help.operators"

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

-- Names of ours in PyTorch's namespaces.
local OURS <const> = {
  ["torch.None"] = true, ["torch.slice"] = true, ["torch.nn.class"] = true, ["torch.nn.is_module"] = true,
  ["torch.scope"] = true, ["torch.load_metadata"] = true, ["torch.is_inference_mode_enabled"] = true,
  ["torch.Tensor.free"] = true, ["torch.Tensor.iter"] = true, ["torch.nn.init"] = true,
}

--- The page about what an entry describes; nil if PyTorch has none, or we do not know.
---@param entry table
---@return string?
function link.of(entry)
  local path = entry.source and entry.source:match("^torch[%w_%.]*") or entry.path
  path = path:gsub("^torch%.Tensor%.rep$", "torch.Tensor.repeat")
  local space, last = path:match("^(.*)%.([%w_]+)$")
  if not space or OURS[path] or entry.kind == "namespace" or entry.kind == "value" then return nil end
  if entry.operator and not operators.sentence(entry.operator:match("::(.*)$")) then return nil end
  if space == "torch" and entry.operator and is_layer(last) then
    space, path = "torch.nn.functional", "torch.nn.functional." .. (last == "log_sigmoid" and "logsigmoid" or last)
  end
  if PAGES[space] then return SITE .. PAGES[space] .. "#" .. path end
  local class = space:match("([%w_]+)$")
  if SPACES[space] and (class == "Tensor" or not class:match("^%u")) then
    return ("%sgenerated/%s.html"):format(SITE, path)
  end
  return nil
end

return link

-- nn.freeze, nn.unfreeze: modules that training leaves as they are.
local native = require "native.model"
local vm = require "native.vm"

-- Note [What holds a module frozen]
-- Each root of nn.freeze(root) has a token: a number of its own. A module is frozen while it has a token, a parameter while its
-- record has one, so that freezes nest and a parameter that is tied to a frozen one stays frozen. Tokens and records lie
-- in the field `_frozen` of modules, where a deep copy takes them along; `records` finds that of a parameter.
local freezing = {}

local records <const> = setmetatable({}, {__mode = "k"})
local last_token = 0

local function check(name, module)
  if not native.is_module(module) then
    vm.raise("usage", ("nn.%s: argument 'module' must be a Module, got %s"):format(name, vm.describe(module)))
  end
end

local function all_of(module)
  local _, modules = native.modules(module)
  return modules
end

local function held(module) return native.fields(module)._frozen end

-- What of the record's parameter was before, and the tokens that hold it.
local function record_of(own, name, parameter)
  local entry = own.parameters[name]
  local record = records[parameter] or entry and entry.tensor == parameter and entry.record
    or {requires_grad = parameter.requires_grad, tokens = {}}
  records[parameter] = record
  own.parameters[name] = {tensor = parameter, record = record}
  return record
end

local function hold(module, token)
  local fields = native.fields(module)
  local own = fields._frozen
  if not own then
    own = {tokens = {}, parameters = {}, training = module.training}
    fields._frozen = own
    native.set_frozen(module, true)
    if native.is_foreign(module) then native.keep(module) end  -- a child of C++'s is held by no field of Lua's
  end
  own.tokens[token] = true
  local names, parameters = native.parameters(module, false)
  for i, parameter in ipairs(parameters) do record_of(own, names[i], parameter).tokens[token] = true end
end

--- Freezes a module and all below it: evaluation mode and requires_grad = false, which `train()` and `requires_grad_()` of
--- this module or of one above it leave as they are, until nn.unfreeze. Running statistics stay bit-equal, dropout is off,
--- and gradients are dropped, so that an optimizer made before leaves the parameters alone and keeps its state. Modules and
--- parameters that are added later, by assignment or by a method, are not frozen: they follow `train()` and
--- `requires_grad_()` as under any module, so that a frozen model gets a head that trains; freezing again takes them in.
--- State dicts are the same; copies are frozen too.
---@param module Module
---@return Module module
---@example local net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
--- nn.freeze(net[0])
--- net:train()
--- net[0].training  --> false
function freezing.freeze(module)
  check("freeze", module)
  local fields = native.fields(module)
  local token = fields._frozen and fields._frozen.own
  if not token then
    token = last_token + 1
    last_token = token
  end
  for _, each in ipairs(all_of(module)) do hold(each, token) end
  fields._frozen.own = token
  if native.is_foreign(module) then native.set_training(module, false) end
  local _, parameters = native.parameters(module)
  for _, parameter in ipairs(parameters) do
    parameter:requires_grad_(false)
    parameter.grad = nil
  end
  return module
end

-- Takes the tokens away, all of them without a list; what is held by none is as it was.
local function release(module, tokens)
  local fields = native.fields(module)
  local own = fields._frozen
  if not own then return end
  for token in pairs(tokens or own.tokens) do own.tokens[token] = nil end
  for name, entry in pairs(own.parameters) do
    local record = entry.record
    for token in pairs(tokens or record.tokens) do record.tokens[token] = nil end
    if next(record.tokens) == nil then
      entry.tensor:requires_grad_(record.requires_grad)
      local now = module[name]  -- another one, where load_state_dict has assigned it
      if record.requires_grad and native.is_parameter(now) then now:requires_grad_() end
      records[entry.tensor], own.parameters[name] = nil, nil
    end
  end
  if own.own and not own.tokens[own.own] then own.own = nil end
  if next(own.tokens) == nil then
    fields._frozen = nil
    native.set_frozen(module, false)
    if native.is_foreign(module) then native.set_training(module, own.training) end
  end
end

--- Undoes nn.freeze: parameters require a gradient if they did before (or if requires_grad_ has asked for it since), and the
--- mode is the one that train() or eval() has asked for last. What was frozen on its own before the module was stays
--- frozen; a part of what is frozen can be unfrozen alone, and of a module that is not frozen all parts are unfrozen.
---@param module Module
---@return Module module
---@example local net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
--- nn.freeze(net)
--- nn.unfreeze(net[1])
--- {net[0].weight.requires_grad, net[1].weight.requires_grad}  --> {false, true}
function freezing.unfreeze(module)
  check("unfreeze", module)
  local own, tokens = held(module), nil
  if own then
    tokens = {}
    for token in pairs(own.tokens) do tokens[token] = true end
  end
  for _, each in ipairs(all_of(module)) do release(each, tokens) end
  return module
end

--- Is the module frozen by nn.freeze?
---@param module Module
---@return boolean
---@example nn.is_frozen(nn.freeze(nn.Linear(2, 1)))  --> true
function freezing.is_frozen(module)
  check("is_frozen", module)
  return held(module) ~= nil
end

--- Notes the mode that a frozen module of C++ is to have when it is frozen no more.
---@param module Module
---@param mode boolean
---@return boolean is it frozen?
function freezing.wish_training(module, mode)
  local own = held(module)
  if own then own.training = mode end
  return own ~= nil
end

--- After requires_grad_ of a module: frozen parameters below it stay so, and have that flag when they are frozen no more.
---@param module Module
---@param requires_grad boolean
function freezing.pin(module, requires_grad)
  for _, each in ipairs(all_of(module)) do
    local own = held(each)
    for _, entry in pairs(own and own.parameters or {}) do
      entry.record.requires_grad = requires_grad
      entry.tensor:requires_grad_(false)
    end
  end
end

--- Freezes a copy that C++ has made as its original is.
---@param original Module
---@param copy Module
function freezing.carry(original, copy)
  local copies = all_of(copy)
  for i, each in ipairs(all_of(original)) do
    local own, into = held(each), native.fields(copies[i])
    if own then
      local tokens = {}
      for token in pairs(own.tokens) do tokens[token] = true end
      into._frozen = {tokens = tokens, parameters = {}, training = own.training, own = own.own}
      native.keep(copies[i])
      local names, parameters = native.parameters(copies[i], false)
      for k, name in ipairs(names) do
        local entry = own.parameters[name]
        if entry then
          local record = record_of(into._frozen, name, parameters[k])
          record.requires_grad = entry.record.requires_grad
          for token in pairs(tokens) do record.tokens[token] = true end
        end
      end
    end
  end
end

return freezing

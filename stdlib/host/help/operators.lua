-- Operators as a Lua user writes them: the calls that their schemas allow, in the order in which they are tried.
local comments = require "host.help.comments"
local native = require "native.doc"
local ops = require "native.ops"

local operators = {}

local KEYWORDS <const> = {["and"] = true, ["break"] = true, ["do"] = true, ["else"] = true, ["elseif"] = true,
  ["end"] = true, ["false"] = true, ["for"] = true, ["function"] = true, ["goto"] = true, ["if"] = true, ["in"] = true,
  ["local"] = true, ["nil"] = true, ["not"] = true, ["or"] = true, ["repeat"] = true, ["return"] = true,
  ["then"] = true, ["true"] = true, ["until"] = true, ["while"] = true}

-- x + y is x:add(y): the metamethods that are operators.
operators.SYMBOLS = {
  add = "x + y", sub = "x - y", mul = "x * y", div = "x / y", floor_divide = "x // y", remainder = "x % y",
  pow = "x ^ y", neg = "-x", bitwise_and = "x & y", bitwise_or = "x | y", bitwise_xor = "x ~ y", bitwise_not = "~x",
  bitwise_left_shift = "x << y", bitwise_right_shift = "x >> y",
}

--- Calls that no schema tells of.
operators.ALSO = {complex = "torch.complex(re: number, im: number) -> complex, a number"}

-- Where PyTorch takes numbers for tensors, by the catalog's rule.
local NUMBERS <const> = {add = true, sub = true, subtract = true, mul = true, multiply = true, div = true,
  divide = true, true_divide = true, floor_divide = true}

--- A name that may be written in Lua: `end` is `end_`, `repeat` is `rep`.
---@param name string
---@return string
function operators.lua_name(name)
  if name == "repeat" then return "rep" end
  return KEYWORDS[name] and name .. "_" or name
end

local function type_of(argument, numbers)
  local kind = argument.kind
  if kind == "tensor" then return numbers and "Tensor|number" or "Tensor" end
  if kind == "scalar" then return "number" end
  if kind == "device" then return "device|string" end
  if argument.one_or_list and kind:sub(-2) == "[]" then return kind:sub(1, -3) .. "|" .. kind end
  return kind
end

-- The argument as a parameter: {name, type, optional, default (text)}
local function parameter(argument, numbers)
  local default = argument.default
  if default == "" then default = nil end
  local kind = type_of(argument, numbers)
  if argument.optional and not argument.default then kind = kind .. "|nil" end  -- nil has to be written
  return {name = operators.lua_name(argument.name), type = kind,
    optional = argument.default ~= nil, default = default ~= "nil" and default or nil}
end

local function same_inputs(a, b)
  local j = 0
  for _, argument in ipairs(a.arguments) do
    if not argument.out then
      j = j + 1
      local other = b.arguments[j]
      if not other or other.name ~= argument.name or other.kind ~= argument.kind then return false end
    end
  end
  local left = 0
  for i = j + 1, #b.arguments do
    if not b.arguments[i].keyword then left = left + 1 end
  end
  return left == 0
end

local function results_of(overload, out)
  local results = {}
  for i, each in ipairs(overload.results) do results[i] = {type = each.type, name = each.name} end
  if out and #results == 0 then results[1] = {type = "Tensor"} end
  return results
end

-- One overload as a call.
local function call_of(overload, method, numbers, out)
  local order = method and overload.self_positions or overload.positions
  local call = {positional = {}, keywords = {}, results = results_of(overload), method = method,
    varargs = method and overload.self_varargs or not method and overload.varargs}
  for i, position in ipairs(order) do
    local argument = overload.arguments[position]
    if not (method and i == 1) and argument.kind ~= "unsupported" then
      call.positional[#call.positional + 1] = parameter(argument, numbers)
    end
  end
  for _, argument in ipairs(overload.arguments) do
    if argument.keyword and not argument.out and argument.kind ~= "unsupported" then
      call.keywords[#call.keywords + 1] = parameter(argument, numbers)
    end
  end
  if overload.factory and not method then
    call.keywords[#call.keywords + 1] = {name = "requires_grad", type = "boolean", optional = true, default = "false"}
  end
  if out then
    local count = 0
    for _, argument in ipairs(out.arguments) do count = count + (argument.out and 1 or 0) end
    call.keywords[#call.keywords + 1] = {name = "out", type = count > 1 and "Tensor[]" or "Tensor",
      optional = out ~= overload}
  end
  return call
end

--- The calls of an operator: as a function with its out= variants joined to those they vary, or as a method.
---@param name string "aten::add"
---@param method boolean
---@return table[] calls {positional, keywords, results, varargs, method}
function operators.calls(name, method)
  local overloads = native.overloads(name)
  local calls, outs = {}, {}
  if not overloads then return calls end
  local numbers = NUMBERS[name:match("::(.-)_?$")]
  for _, overload in ipairs(overloads) do
    if overload.out then outs[#outs + 1] = overload end
  end
  for _, overload in ipairs(overloads) do
    if not overload.out and (not method or overload.self_positions) then
      local found
      for i, out in ipairs(outs) do
        if not method and same_inputs(out, overload) then
          found = table.remove(outs, i)
          break
        end
      end
      calls[#calls + 1] = call_of(overload, method, numbers, found)
    end
  end
  if not method then
    for _, out in ipairs(outs) do calls[#calls + 1] = call_of(out, false, numbers, out) end
  end
  return calls
end

--- The in-place variant of an operator: "aten::add" -> "add_"; nil if there is none.
---@param name string
---@return string?
function operators.in_place(name)
  local short = name:match("^aten::(.*[^_])$")
  return short and ops.find(short .. "_", true) and short .. "_" or nil
end

local sentences

--- Our sentence about a public operator, by its name in the catalog ("linalg_norm"); nil if there is none.
---@param name string
---@return string?
function operators.sentence(name)
  if not sentences then
    sentences = {}
    for module in pairs(comments.files()) do
      if module:find("^torch%.sentences%.") then
        for key, text in pairs(require(module)) do sentences[key] = text end
      end
    end
  end
  local text = sentences[name]
  if text then return text end
  local plain = name:match("^(.*[^_])_$")
  if plain and sentences[plain] then return "In place: " .. sentences[plain] end
  local special = name:match("(__%l+__)$")
  if special then return ("Python's special method %s, for code that calls it by name."):format(special) end
  plain = name:match("^(.*)_copy$")
  if plain then return ("As x:%s(...), but a copy and no view."):format(plain) end
  return nil
end

--- All names with a sentence of our own.
---@return table<string, string>
function operators.sentences()
  operators.sentence("")
  return sentences
end

return operators

-- What help says of the functions that a class of torch.autograd.Function has or defines, and of the context they get.
local docstring = require "host.help.docstring"
local native = require "native.doc"
local parameters = require "host.help.parameters"

local rules = {}

local DOCS <const> = {
  apply = [[
Calls forward and records the step, so that backward calls the class's backward: `local y = Exp.apply(x)`.
@param ... any what forward takes after ctx
@return any ... what forward returns]],
  forward = [[
Yours to define: what the operator computes. With setup_context it is forward(...), without ctx.
@param ctx FunctionCtx keeps what backward needs: ctx:save_for_backward(x)
@param ... any what apply was given
@return Tensor ...]],
  backward = [[
Yours to define: a gradient for each argument of forward, nil for those that have none.
@param ctx FunctionCtx
@param ... Tensor the gradient of each result
@return Tensor? ...]],
  setup_context = [[
Yours to define beside a forward without ctx: keeps what backward needs.
@param ctx FunctionCtx
@param inputs table what forward was given
@param output any what it returned]],
  jvp = [[
Yours to define for forward mode: the tangents of the results.
@param ctx FunctionCtx
@param ... Tensor? the tangent of each argument
@return Tensor ...]],
  vmap = [[
Yours to define: the operator over a batch, for torch.func.vmap.
@param info table batch_size and randomness
@param in_dims table the dimension of each argument that is mapped over
@param ... any
@return any, any results and their dimensions]],
}

local function of_context(name)
  for _, row in ipairs(native.rows()) do
    if row.name == name and row.home.save_for_backward and row.doc then return row.doc end
  end
  return nil
end

--- The entry of a function of the class or a method of ctx; nil: there is none.
---@param name string "save_for_backward"
---@return table?
function rules.of(name)
  local text = DOCS[name] or of_context(name)
  if not text then return nil end
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  local doc = docstring.read(lines)
  return {
    path = DOCS[name] and "torch.autograd.Function." .. name or "ctx:" .. name, name = name, kind = "function",
    method = false, documented = true, text = doc.text, params = parameters.of(doc, nil, nil), returns = doc.returns,
    examples = doc.examples, errors = doc.errors, link = nil,
  }
end

return rules

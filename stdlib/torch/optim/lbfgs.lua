-- torch.optim.LBFGS: limited-memory BFGS over all parameters as one vector, with a line search by strong Wolfe conditions.
local Optimizer = require "torch.optim.optimizer"
local checks = require "torch.optim.checks"
local native = require "native.optim"
local search = require "torch.optim.lbfgs_line_search"
local torch = require "torch"
local vm = require "native.vm"

local less <const>, at_most <const>, absolute <const> = search.less, search.at_most, search.absolute

---@class LBFGS : Optimizer
---@example local x = torch.zeros(1, {requires_grad = true})
--- local optimizer = torch.optim.LBFGS({x}, {line_search_fn = "strong_wolfe"})
--- optimizer:step(function()
---   optimizer:zero_grad()
---   local loss = (x - 3):pow(2):sum()
---   loss:backward()
---   return loss
--- end)
--- torch.round(x:detach())  --> tensor([3.])
---@source torch.optim.LBFGS
local LBFGS = Optimizer.class("LBFGS", "lr=1, max_iter=20, max_eval=nil, tolerance_grad=1e-7, tolerance_change=1e-9, "
  .. "history_size=100, line_search_fn=nil")

LBFGS.needs_closure = true  -- train.fit gives it one

local function fail(message, hint) vm.raise("usage", "LBFGS: " .. message, hint) end

---@private
function LBFGS._prepare(_, defaults)
  checks.lr(LBFGS, defaults, function(_, message) fail(message) end)
  if defaults.max_eval == nil then defaults.max_eval = defaults.max_iter * 5 // 4 end
end

---@private
function LBFGS:_finish()
  if #self.param_groups ~= 1 then fail "LBFGS doesn't support per-parameter options (parameter groups)" end
end

local function number(loss)
  if torch.is_tensor(loss) then loss = loss:item() end
  if type(loss) ~= "number" then
    fail("the closure must return the loss, a tensor or a number, got " .. vm.describe(loss))
  end
  return loss + 0.0
end

-- The direction from the history of gradients, in place of d.
local function direction(state, group, gradient, d, t)
  local y, s = gradient:sub(state.prev_flat_grad), d:mul(t)
  local ys = y:dot(s)
  local directions, steps, ro = state.old_dirs, state.old_stps, state.ro
  if less(1e-10, ys) then
    if #directions == group.history_size then
      for _, list in ipairs {directions, steps, ro} do table.remove(list, 1) end
    end
    table.insert(directions, y)
    table.insert(steps, s)
    table.insert(ro, 1.0 / ys)
    state.H_diag = ys / y:dot(y)
  end
  local al, q = {}, gradient:neg()
  for i = #directions, 1, -1 do
    al[i] = steps[i]:dot(q) * ro[i]
    q:add_(directions[i], {alpha = -al[i]})
  end
  local r = torch.mul(q, state.H_diag)
  for i = 1, #directions do
    local be = directions[i]:dot(r) * ro[i]
    r:add_(steps[i], {alpha = al[i] - be})
  end
  return r
end

--- One step: up to max_iter iterations, in which the closure is called again and again.
---@param closure fun(): Tensor clears the gradients, computes them again and returns the loss
---@return Tensor loss the first one
function LBFGS:step(closure)
  if type(closure) ~= "function" then
    fail("step() missing 1 required positional argument: 'closure'", "opt:step(function() ... return loss end)")
  end
  local group = self.param_groups[1]
  local params = group.params
  local lr, max_iter, max_eval = group.lr, group.max_iter, group.max_eval
  if torch.is_tensor(lr) and lr:dim() ~= 0 then lr = lr:squeeze() end
  local tolerance_change = group.tolerance_change
  if group.line_search_fn ~= nil and group.line_search_fn ~= "strong_wolfe" then
    fail "only 'strong_wolfe' is supported"
  end
  local state = self.state[params[1]]
  state.func_evals, state.n_iter = state.func_evals or 0, state.n_iter or 0

  local first_loss = torch.enable_grad(closure)
  local loss = number(first_loss)
  local evaluations = 1
  state.func_evals = state.func_evals + 1
  local gradient = native.flat_gradient(params)
  local function is_flat() return at_most(gradient:abs():max(), group.tolerance_grad) end
  if is_flat() then return first_loss end

  local d, t, last_loss = state.d, state.t, state.prev_loss
  local iteration, stops = 0, false
  while iteration < max_iter do
    iteration = iteration + 1
    state.n_iter = state.n_iter + 1
    if state.n_iter == 1 then
      d = gradient:neg()
      state.old_dirs, state.old_stps, state.ro, state.H_diag = {}, {}, {}, 1
    else
      d = direction(state, group, gradient, d, t)
    end
    if state.prev_flat_grad == nil then
      state.prev_flat_grad = gradient:clone{memory_format = torch.contiguous_format}
    else
      state.prev_flat_grad:copy_(gradient)
    end
    last_loss = loss
    t = state.n_iter == 1 and search.least(1.0, 1.0 / gradient:abs():sum()) * lr or lr
    local slope = gradient:dot(d)
    if less(-tolerance_change, slope) then break end

    local used = 0
    if group.line_search_fn then
      local at = {}
      for i, p in ipairs(params) do at[i] = p:clone{memory_format = torch.contiguous_format} end
      local function evaluate(size, along)
        native.move_along(params, along, size)
        local value = number(torch.enable_grad(closure))
        local gradient_there = native.flat_gradient(params)
        for i, p in ipairs(params) do p:copy_(at[i]) end
        return value, gradient_there
      end
      -- PyTorch's own tolerance of the search is the default one, whatever the optimizer's.
      loss, gradient, t, used = search.strong_wolfe(evaluate, t, d, loss, gradient, slope, 1e-9, max_eval - evaluations)
      native.move_along(params, d, t)
      stops = is_flat()
    else
      native.move_along(params, d, t)
      if iteration ~= max_iter then  -- the last one's gradient is nobody's
        loss = number(torch.enable_grad(closure))
        gradient = native.flat_gradient(params)
        stops = is_flat()
        used = 1
      end
    end
    evaluations = evaluations + used
    state.func_evals = state.func_evals + used

    if iteration == max_iter or evaluations >= max_eval or stops then break end
    if at_most(d:mul(t):abs():max(), tolerance_change) then break end
    if absolute(loss - last_loss) < tolerance_change then break end
  end
  state.d, state.t, state.prev_loss = d, t, last_loss
  return first_loss
end

return LBFGS

-- The line search of torch.optim.LBFGS: strong Wolfe conditions, by cubic interpolation. Steps, slopes and losses are
-- numbers or tensors of one element, with the arithmetic of Python's, so that both sides take the same branches.
local torch = require "torch"

local search = {}

local is_tensor <const> = torch.is_tensor

--- a < b and a <= b of numbers and tensors.
local function less(a, b)
  if is_tensor(a) then return a:lt(b):item() end
  if is_tensor(b) then return b:gt(a):item() end
  return a < b
end
local function at_most(a, b)
  if is_tensor(a) then return a:le(b):item() end
  if is_tensor(b) then return b:ge(a):item() end
  return a <= b
end
search.less, search.at_most = less, at_most

--- |x| of a number or a tensor.
local function absolute(x)
  if is_tensor(x) then return x:abs() end
  return math.abs(x)
end
search.absolute = absolute

--- The lesser of two, the first where they are equal.
local function least(a, b) return less(b, a) and b or a end
local function most(a, b) return less(a, b) and b or a end
search.least = least

local function interpolate(x1, f1, g1, x2, f2, g2, low, high)
  if not low then
    if at_most(x1, x2) then low, high = x1, x2 else low, high = x2, x1 end
  end
  local d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
  local square = d1 ^ 2 - g1 * g2
  if not at_most(0, square) then return (low + high) / 2.0 end
  local d2 = square:sqrt()
  local at
  if at_most(x1, x2) then at = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
  else at = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2)) end
  return least(most(at, low), high)
end

local function copy(gradient) return gradient:clone{memory_format = torch.contiguous_format} end

-- A bracket around the minimum: positions, losses, gradients and slopes at its two ends (or one point that fits).
local C1 <const>, C2 <const> = 1e-4, 0.9

local function bracket_of(evaluate, t, d, f, g, slope, max_iterations)
  local f_new, g_new = evaluate(t, d)
  local evaluations, iteration = 1, 0
  local slope_new = g_new:dot(d)
  local t_old, f_old, g_old, slope_old = 0, f, g, slope
  while iteration < max_iterations do
    local too_high = less(f + C1 * t * slope, f_new) or (iteration > 1 and f_new >= f_old)
    if not too_high and at_most(absolute(slope_new), -C2 * slope) then
      return {{t}, {f_new}, {g_new}, {}}, evaluations, iteration, true
    end
    if too_high or at_most(0, slope_new) then
      return {{t_old, t}, {f_old, f_new}, {g_old, copy(g_new)}, {slope_old, slope_new}}, evaluations, iteration, false
    end
    local low, high = t + 0.01 * (t - t_old), t * 10
    local now = t
    t = interpolate(t_old, f_old, slope_old, t, f_new, slope_new, low, high)
    t_old, f_old, g_old, slope_old = now, f_new, copy(g_new), slope_new
    f_new, g_new = evaluate(t, d)
    evaluations, iteration = evaluations + 1, iteration + 1
    slope_new = g_new:dot(d)
  end
  return {{0, t}, {f, f_new}, {g, g_new}, {}}, evaluations, iteration, false
end

--- Searches from the step t along d for a point that satisfies the strong Wolfe conditions.
---@param evaluate fun(t, d): number, Tensor loss and gradient at a step
---@return number loss
---@return Tensor gradient
---@return number|Tensor t
---@return integer evaluations
function search.strong_wolfe(evaluate, t, d, f, g, slope, tolerance_change, max_iterations)
  local d_norm = d:abs():max()
  g = copy(g)
  local bracket, evaluations, iteration, done = bracket_of(evaluate, t, d, f, g, slope, max_iterations)
  local at, losses, gradients, slopes = table.unpack(bracket)
  local is_stuck = false
  local low, high = 1, 2
  if not (losses[1] <= losses[#losses]) then low, high = 2, 1 end
  while not done and iteration < max_iterations do
    if less(absolute(at[2] - at[1]) * d_norm, tolerance_change) then break end
    t = interpolate(at[1], losses[1], slopes[1], at[2], losses[2], slopes[2])
    local first, last = least(at[1], at[2]), most(at[1], at[2])
    local margin = 0.1 * (last - first)
    if less(least(last - t, t - first), margin) then  -- close to an end: once is allowed
      if is_stuck or at_most(last, t) or at_most(t, first) then
        t = less(absolute(t - last), absolute(t - first)) and last - margin or first + margin
        is_stuck = false
      else
        is_stuck = true
      end
    else
      is_stuck = false
    end
    local f_new, g_new = evaluate(t, d)
    evaluations, iteration = evaluations + 1, iteration + 1
    local slope_new = g_new:dot(d)
    local function put(place)
      at[place], losses[place], gradients[place], slopes[place] = t, f_new, copy(g_new), slope_new
    end
    if less(f + C1 * t * slope, f_new) or f_new >= losses[low] then
      put(high)
      if losses[1] <= losses[2] then low, high = 1, 2 else low, high = 2, 1 end
    else
      if at_most(absolute(slope_new), -C2 * slope) then
        done = true
      elseif at_most(0, slope_new * (at[high] - at[low])) then
        at[high], losses[high], gradients[high], slopes[high] = at[low], losses[low], gradients[low], slopes[low]
      end
      put(low)
    end
  end
  return losses[low], gradients[low], at[low], evaluations
end

return search

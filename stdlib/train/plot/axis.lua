-- Axes of a chart: from where to where, round ticks and their labels.
local axis = {}

---Whether a value can be drawn.
---@param value any
---@return boolean
function axis.finite(value) return type(value) == "number" and value - value == 0 end

---Round steps: 1, 2 or 5 times a power of ten, about `wanted` of them from low to high.
---@param low number
---@param high number
---@param wanted number
---@return number[] values
---@return number step
function axis.ticks(low, high, wanted)
  local raw = (high - low) / math.max(wanted, 1)
  local power = 10.0 ^ math.floor(math.log(raw, 10))
  local step = power * 10
  for _, factor in ipairs {1, 2, 5} do
    if raw <= factor * power * 1.0001 then
      step = factor * power
      break
    end
  end
  local list = {}
  for i = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) do list[#list + 1] = i * step end
  return list, step
end

local function label(value, step)
  local digits = math.max(0, -math.floor(math.log(step, 10) + 1e-9))
  if digits > 6 or math.abs(value) >= 1e6 then return ("%.3g"):format(value) end
  local text = ("%." .. math.tointeger(digits) .. "f"):format(value)
  return tonumber(text) == 0 and text:gsub("^%-", "") or text
end

---What is seen of the values of some lines: a little more than their range, in powers of ten if logarithmic.
---@param lines {ys: number[]}[]
---@param log boolean
---@return number low
---@return number high
function axis.bounds(lines, log)
  local low, high = math.huge, -math.huge
  for _, line in ipairs(lines) do
    for _, value in ipairs(line.ys) do
      if axis.finite(value) and not (log and value <= 0) then low, high = math.min(low, value), math.max(high, value) end
    end
  end
  if low > high then low, high = log and 0.1 or 0, 1 end
  if log then low, high = math.log(low, 10), math.log(high, 10) end
  local margin = high * 0.05 - low * 0.05
  if margin < math.max(math.abs(high), math.abs(low)) * 1e-9 or margin == 0 then
    margin = math.max(math.abs(high) * 0.05, 1e-3)
  end
  return low - margin, high + margin
end

---The ticks of the y axis: {value = where, text = label}; at powers of ten where a logarithmic axis has some.
---@param low number
---@param high number
---@param wanted number how many, about
---@param log boolean
---@return {value: number, text: string}[]
function axis.y_ticks(low, high, wanted, log)
  local values, step = axis.ticks(low, high, wanted)
  if log then
    local first, last = math.ceil(low), math.floor(high)
    if last > first then
      values = {}
      local stride = math.max(1, math.ceil((last - first + 1) / math.max(wanted, 2)))
      for exponent = first, last, stride do values[#values + 1] = exponent end
    end
  end
  local list = {}
  for i, value in ipairs(values) do
    list[i] = {value = value, text = log and ("%.3g"):format(10.0 ^ value) or label(value, step)}
  end
  return list
end

---From the first to the last epoch or step of some lines; their powers of ten if logarithmic.
---@param lines {xs: number[]}[]
---@param log? boolean
---@return number first
---@return number last
function axis.span(lines, log)
  local first, last = math.huge, -math.huge
  for _, line in ipairs(lines) do
    for _, x in ipairs(line.xs) do
      if not (log and x <= 0) then first, last = math.min(first, x), math.max(last, x) end
    end
  end
  if first > last then first, last = 1, 1 end
  if log then return math.log(first, 10), math.log(last, 10) end
  return first, last
end

---The ticks of epochs or steps: whole numbers.
---@param first number
---@param last number
---@param wanted number
---@return {value: number, text: string}[]
function axis.x_ticks(first, last, wanted)
  if first == last then return {{value = first, text = ("%.14g"):format(first)}} end
  local _, step = axis.ticks(first, last, wanted)
  step = math.max(1, math.floor(step + 0.5))
  local list = {}
  for i = math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) do
    list[#list + 1] = {value = i * step, text = ("%.14g"):format(i * step)}
  end
  if #list == 0 then list[1] = {value = first, text = ("%.14g"):format(first)} end
  return list
end

return axis

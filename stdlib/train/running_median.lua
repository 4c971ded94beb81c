-- The median of the last values of a series, kept sorted as they come and go.
local Median = {}
Median.__index = Median

-- Where `value` has its place among sorted values.
local function place_of(sorted, value)
  local low, high = 1, #sorted + 1
  while low < high do
    local middle = (low + high) // 2
    if sorted[middle] < value then low = middle + 1 else high = middle end
  end
  return low
end

---@param recent number[] the values in their order, changed in place: what a checkpoint keeps
---@return table median
local function new(recent)
  local sorted = table.move(recent, 1, #recent, 1, {})
  table.sort(sorted)
  return setmetatable({recent = recent, sorted = sorted}, Median)
end

---@return number? median nil of no values
function Median:value()
  local sorted = self.sorted
  local middle = (#sorted + 1) // 2
  return #sorted % 2 == 1 and sorted[middle] or #sorted > 0 and (sorted[middle] + sorted[middle + 1]) / 2 or nil
end

---Takes a value in; of more than `window` the oldest goes.
---@param value number
---@param window integer
function Median:push(value, window)
  local recent, sorted = self.recent, self.sorted
  recent[#recent + 1] = value
  table.insert(sorted, place_of(sorted, value), value)
  if #recent > window then table.remove(sorted, place_of(sorted, table.remove(recent, 1))) end
end

return new

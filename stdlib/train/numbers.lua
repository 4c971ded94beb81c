-- Numbers as text that reads back as the same number.
local python_float <const> = require("native.track").python_float  -- knows no locale

local numbers = {}

---The shortest decimal text of a number: 0.1, 1e-05, nan, inf; other values as tostring gives.
---@param value any
---@return string
function numbers.text(value)
  if math.type(value) ~= "float" then return tostring(value) end
  return python_float(value)
end

local SHORT <const> = {[4] = "%.4g", [6] = "%.6g"}

---Six significant digits for a message: 0.123457, nan, inf.
---@param value number
---@param digits? integer 4 or 6
---@return string
function numbers.short(value, digits)
  if value ~= value then return "nan" end  -- %g gives -nan
  return SHORT[digits or 6]:format(value)
end

---A number for a JSON file; NaN and infinity, which JSON lacks, as text.
---@return string
function numbers.json(value)
  local text = numbers.text(value)
  if type(value) == "number" and value - value == 0 then return text end
  return '"' .. text .. '"'
end

---"1 batch", "2 batches", "3 epochs".
---@param count integer
---@param noun string
---@return string
function numbers.counted(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or noun:find("tch$") and "es" or "s")
end

---The time of one batch of several as "7ms/batch" or "1.2s/batch".
---@return string
function numbers.rate(batches, seconds)
  local each = seconds / math.max(batches, 1)
  return each >= 1 and ("%.1fs/batch"):format(each) or ("%.0fms/batch"):format(each * 1000)
end

---Seconds as "4.2s", "3:07" or "1:02:03".
---@return string
function numbers.duration(seconds)
  if seconds ~= seconds or seconds == math.huge then return "?" end
  if seconds < 10 then return ("%.1fs"):format(seconds) end
  local whole = math.floor(seconds + 0.5)
  if whole < 60 then return whole .. "s" end
  if whole < 3600 then return ("%d:%02d"):format(whole // 60, whole % 60) end
  return ("%d:%02d:%02d"):format(whole // 3600, whole // 60 % 60, whole % 60)
end

return numbers

-- train.plot: the curves of a training as an SVG picture, without any other program.
local escape = require("host.xml").escape
local keywords = require "host.keywords"

local COLORS <const> = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"}
local LEFT <const>, RIGHT <const>, TOP <const>, BOTTOM <const> = 64, 20, 40, 48

local function usage(message, hint) require("native.vm").raise("usage", "train.plot: " .. message, hint) end

local function finite(value) return type(value) == "number" and value - value == 0 end

-- Round steps: 1, 2 or 5 times a power of ten, about `wanted` of them from low to high.
local function ticks(low, high, wanted)
  local raw = (high - low) / wanted
  local power = 10.0 ^ math.floor(math.log(raw, 10))
  local step = power * 10
  for _, factor in ipairs {1, 2, 5} do
    if raw <= factor * power * 1.0001 then
      step = factor * power
      break
    end
  end
  local list, first = {}, math.ceil(low / step - 1e-9)
  for i = first, math.floor(high / step + 1e-9) do list[#list + 1] = i * step end
  return list, step
end

local function label(value, step)
  local digits = math.max(0, -math.floor(math.log(step, 10) + 1e-9))
  if digits > 6 or math.abs(value) >= 1e6 then return ("%.3g"):format(value) end
  return ("%." .. math.tointeger(digits) .. "f"):format(value)
end

-- The series to draw: {name, values}, in the order asked for.
local function choose(history, wanted)
  local source = history.history or history
  local names = wanted
  if not names then
    names = {}
    for _, name in ipairs {"loss", "val_loss"} do
      if source[name] then names[#names + 1] = name end
    end
  end
  local series = {}
  for i, name in ipairs(names) do
    if type(source[name]) ~= "table" then
      local known = {}
      for key, values in pairs(source) do
        if type(values) == "table" then known[#known + 1] = tostring(key) end
      end
      table.sort(known)
      usage(("the history has no '%s'%s"):format(tostring(name), require("train.nearest").suggest(tostring(name), known)))
    end
    series[i] = {name = name, values = source[name]}
  end
  if #series == 0 then usage("there is no series to draw") end
  return series
end

local function bounds(series, options)
  local low, high, count = math.huge, -math.huge, 1
  for _, each in ipairs(series) do
    count = math.max(count, #each.values)
    for _, value in ipairs(each.values) do
      if finite(value) and not (options.log and value <= 0) then low, high = math.min(low, value), math.max(high, value) end
    end
  end
  if low > high then low, high = options.log and 0.1 or 0, 1 end
  if options.log then
    low, high = math.log(low, 10), math.log(high, 10)
  end
  local margin = (high - low) * 0.05
  if margin == 0 then margin = math.max(math.abs(high) * 0.05, 1e-3) end
  return low - margin, high + margin, count
end

local function curve(each, x_of, y_of)
  local path, pen_down, dots = {}, false, {}
  for i, value in ipairs(each.values) do
    local y = finite(value) and y_of(value)
    if y then
      local x = x_of(i)
      path[#path + 1] = ("%s%.2f %.2f"):format(pen_down and "L" or "M", x, y)
      dots[#dots + 1] = ('<circle cx="%.2f" cy="%.2f" r="2.5" fill="%s"/>'):format(x, y, each.color)
    end
    pen_down = y and true or false  -- NaN leaves a gap
  end
  local line = ('<path d="%s" fill="none" stroke="%s" stroke-width="2"/>'):format(table.concat(path, " "), each.color)
  return line .. (#dots <= 60 and table.concat(dots) or "")
end

local function axes(out, low, high, count, x_of, y_at, options)
  local right, bottom = options.width - RIGHT, options.height - BOTTOM
  local y_ticks, y_step = ticks(low, high, 6)
  for _, value in ipairs(y_ticks) do
    local y = y_at(value)
    local text = options.log and ("%.3g"):format(10.0 ^ value) or label(value, y_step)
    out[#out + 1] = ('<line x1="%d" y1="%.2f" x2="%d" y2="%.2f" stroke="#e5e5e5"/>'):format(LEFT, y, right, y)
    out[#out + 1] = ('<text x="%d" y="%.2f" text-anchor="end">%s</text>'):format(LEFT - 8, y + 4, text)
  end
  local step = math.max(1, math.floor(select(2, ticks(0, math.max(count, 2), 10)) + 0.5))
  for i = 1, count do
    if i == 1 and step == 1 or i % step == 0 then
      out[#out + 1] = ('<line x1="%.2f" y1="%d" x2="%.2f" y2="%d" stroke="#444"/>'):format(x_of(i), bottom, x_of(i), bottom + 5)
      out[#out + 1] = ('<text x="%.2f" y="%d" text-anchor="middle">%d</text>'):format(x_of(i), bottom + 20, i)
    end
  end
  out[#out + 1] = ('<path d="M%d %d V%d H%d" fill="none" stroke="#444"/>'):format(LEFT, TOP, bottom, right)
  out[#out + 1] = ('<text x="%.1f" y="%d" text-anchor="middle">%s</text>'):format((LEFT + right) / 2,
    options.height - 10, escape(options.x_label))
  out[#out + 1] = ('<text transform="translate(16 %.1f) rotate(-90)" text-anchor="middle">%s</text>'):format(
    (TOP + bottom) / 2, escape(options.y_label))
end

local function legend(out, series, options)
  local longest = 0
  for _, each in ipairs(series) do longest = math.max(longest, #each.name) end
  local width = 48 + longest * 7
  local x, y = options.width - RIGHT - width - 6, TOP + 6
  out[#out + 1] = ('<rect x="%d" y="%d" width="%d" height="%d" rx="3" fill="#fff" fill-opacity="0.85" stroke="#ccc"/>')
    :format(x, y, width, #series * 20 + 8)
  for i, each in ipairs(series) do
    local middle = y + i * 20 - 6
    out[#out + 1] = ('<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="2"/>'):format(x + 8, middle,
      x + 34, middle, each.color)
    out[#out + 1] = ('<text x="%d" y="%d">%s</text>'):format(x + 40, middle + 4, escape(each.name))
  end
end

---Draws the curves of a history into an SVG file.
---@param history table what train.fit returns, or a table of lists by name
---@param path string the file, "loss.svg"
---@param options? table series = {"loss", "val_loss"}, title, x_label = "epoch", y_label, width = 720, height = 440,
---log = false (logarithmic y axis)
---@return string path
return function(history, path, options)
  if type(history) ~= "table" then usage(("the history must be a table, got %s"):format(type(history))) end
  if type(path) ~= "string" then usage(("the path must be a string, got %s"):format(type(path))) end
  options = keywords.check("train.plot", options, {
    series = keywords.none, title = keywords.none, x_label = "epoch", y_label = keywords.none, width = 720, height = 440,
    log = false,
  })
  local series = choose(history, options.series)
  options.y_label = options.y_label or series[1].name:gsub("^val_", "")
  local low, high, count = bounds(series, options)
  local right, bottom = options.width - RIGHT, options.height - BOTTOM
  local function x_of(i) return LEFT + (count == 1 and 0.5 or (i - 1) / (count - 1)) * (right - LEFT) end
  local function y_at(value) return bottom - (value - low) / (high - low) * (bottom - TOP) end
  local function y_of(value)
    if not options.log then return y_at(value) end
    return value > 0 and y_at(math.log(value, 10)) or nil
  end

  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" ' ..
      'font-family="sans-serif" font-size="12" fill="#222">')
      :format(options.width, options.height, options.width, options.height),
    ('<rect width="%d" height="%d" fill="#fff"/>'):format(options.width, options.height),
  }
  if options.title then
    out[#out + 1] = ('<text x="%.1f" y="24" text-anchor="middle" font-size="15">%s</text>'):format((LEFT + right) / 2,
      escape(options.title))
  end
  axes(out, low, high, count, x_of, y_at, options)
  for i, each in ipairs(series) do
    each.color = COLORS[(i - 1) % #COLORS + 1]
    out[#out + 1] = curve(each, x_of, y_of)
  end
  legend(out, series, options)
  out[#out + 1] = "</svg>\n"
  require("host").file.write_atomic(path, table.concat(out, "\n"))
  return path
end

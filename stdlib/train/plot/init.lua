-- train.plot: the curves of a training as an SVG or PNG picture, without any other program.
local keywords = require "host.keywords"
local options_of = require "train.options"
local panels_of = require "train.plot.panels"
local sources = require "train.plot.sources"

local PANEL <const> = {width = 720, height = 440}
local SMALL <const> = {width = 560, height = 340}  -- of several panels

local function usage(message, hint) require("native.vm").raise("usage", "train.plot: " .. message, hint) end

local function check_series(series)
  if series == nil or type(series) == "string" then return end
  if type(series) ~= "table" then
    usage(('series must be a list of names or "all", got %s'):format(require("native.vm").describe(series)))
  end
  for _, name in ipairs(series) do
    if type(name) ~= "string" then
      usage(("series must be a list of names, got %s in it"):format(require("native.vm").describe(name)))
    end
  end
end

-- These values stand on the x axis of every series.
local function put_x(runs, x)
  if type(x) ~= "table" then usage("x must be a list of numbers, got " .. require("native.vm").describe(x)) end
  for _, value in ipairs(x) do
    if type(value) ~= "number" then
      usage(("x must be a list of numbers, got %s in it"):format(require("native.vm").describe(value)))
    end
  end
  for _, run in ipairs(runs) do
    for name, line in pairs(run.series) do
      if #line.ys ~= #x then usage(("x has %d values, the series '%s' has %d"):format(#x, name, #line.ys)) end
      line.xs = x
    end
  end
end

local function kind_of(path)
  if type(path) ~= "string" then usage(("the path must be a string, got %s"):format(type(path))) end
  local kind = (path:match("[^/]*$"):match("%.([^.]*)$") or "svg"):lower()
  if kind ~= "svg" and kind ~= "png" then
    usage(("the name of the file must end in .svg or .png, got '%s'"):format(path))
  end
  return kind
end

---Draws the curves of a training into a picture: SVG or PNG, by the end of the file's name; SVG for a name without one.
---
---The curves come from what train.fit returns; from a table of series by name, each a list of numbers or of points as
---mlflow.get_metric_history returns them; from the name of a file of train.CSVLogger (.csv, .jsonl); or from a table of
---several of these by name, `{adam = history1, sgd = history2}`, drawn together in one colour each. Training and validation
---of a metric are in one panel, each further metric has its own. NaN and infinity are gaps.
---
---Options, by name:
---- series = {"loss", "val_loss"}: the curves, or "all". Without it the loss with val_loss, or all where there is no loss.
---- panels = true: false draws all curves into one panel.
---- log = false: a logarithmic y axis, on which only values above 0 are seen; log_x = false: a logarithmic x axis.
---- x = {1e-4, 1e-3, 1e-2}: what stands on the x axis in place of epochs, for each value of the series.
---- mark = 1e-3: a dashed line at this place of the x axis.
---- title, x_label ("epoch", or "step" for points by step), y_label (the name of the metric).
---- width, height: of the whole picture; 720 x 440 for one panel. columns: how many panels stand side by side.
---@param history table|string
---@param path string the file, "loss.svg" or "loss.png"
---@param options? table
---@return string path
---@example local file = os.tmpname() .. ".svg"
--- train.plot({loss = {3, 2, 1}, val_loss = {3, 2.5, 2}}, file, {title = "first", log = true})
--- io.open(file):read(4), os.remove(file)  --> <svg	true
return function(history, path, options)
  local runs = sources.of(history)
  local kind = kind_of(path)
  options = options_of.check("train.plot", keywords.check("train.plot", options, {
    series = keywords.none, panels = true, title = keywords.none, x_label = keywords.none, y_label = keywords.none,
    width = keywords.none, height = keywords.none, columns = keywords.none, log = false, log_x = false, x = keywords.none,
    mark = keywords.none,
  }), {panels = "flag", log = "flag", log_x = "flag", mark = "number", title = "text", x_label = "text", y_label = "text",
    width = "positive_count", height = "positive_count", columns = "positive_count"})
  check_series(options.series)
  local names, unknown = panels_of.names(runs, options.series)
  if unknown then
    usage(("%s '%s'%s"):format(#runs > 1 and "no run has" or "the history has no", unknown,
      require("train.nearest").suggest(unknown, names)))
  end
  if #names == 0 then usage("there is no series to draw") end
  if options.x ~= nil then
    put_x(runs, options.x)
    options.x_label = options.x_label or "x"
  end
  options.x_label = options.x_label or panels_of.align(runs)
  if options.log_x and options.mark and options.mark <= 0 then
    usage(("mark must be above 0 on a logarithmic axis, got %s"):format(options.mark))
  end
  local panels = panels_of.of(runs, names, not options.panels)

  local columns = math.min(options.columns or (#panels == 1 and 1 or #panels <= 4 and 2 or 3), #panels)
  local size, rows = #panels == 1 and PANEL or SMALL, (#panels + columns - 1) // columns
  options.columns = columns
  local width, height = options.width or columns * size.width, options.height or rows * size.height
  local painter = require("train.plot." .. kind)(width, height, columns)
  require("host").file.write_atomic(path, require("train.plot.chart")(panels, painter, options))
  return path
end

-- train.metrics.MeanAveragePrecision: how well objects are detected, by COCO's evaluation or by PASCAL VOC's.
--
-- What is kept of an image is which of its detections hit: update has done the matching, so that result only sorts.
local kept = require "train.metrics.kept"
local keywords = require "host.keywords"
local native = require "native.metric"
local torch = require "torch"
local vm = require "native.vm"

local NAME <const> = "train.metrics.MeanAveragePrecision"
-- The tensors of a chunk, in the order in which native.metric takes them.
local FIELDS <const> = {"labels", "scores", "ranks", "matched", "ignored", "classes", "counts"}
-- What the table of an image holds.
local COLUMNS <const> = {"boxes", "scores", "labels", "area", "iscrowd", "difficult"}
local AREAS <const> = {all = {0, 1e10}, small = {0, 32 ^ 2}, medium = {32 ^ 2, 96 ^ 2}, large = {96 ^ 2, 1e10}}
local AREA_NAMES <const> = {"all", "small", "medium", "large"}

local Metric = {__name = "MeanAveragePrecision", direction = "max", needs_output = true}
Metric.__index = Metric

-- `count` numbers from `first` to `last`, as NumPy's linspace makes them.
local function linspace(first, last, count)
  local numbers, step = {}, (last - first) / (count - 1)
  for i = 1, count - 1 do numbers[i] = (i - 1) * step + first end
  numbers[count] = last
  return numbers
end

-- Lists in the table of an image become tensors; most have none.
local function image(given)
  if type(given) ~= "table" then return given end
  local made
  for _, field in ipairs(COLUMNS) do
    local list = given[field]
    if type(list) == "table" then
      if not made then
        made = {}
        for _, name in ipairs(COLUMNS) do made[name] = given[name] end
      end
      local whole = field == "labels" and (#list == 0 or math.type(list[1]) == "integer")
      made[field] = torch.tensor(list, {dtype = whole and torch.int64 or torch.float64})
    end
  end
  return made or given
end

local function images(list, name)
  if type(list) ~= "table" then
    vm.raise("usage", ("MeanAveragePrecision: %s must be a list of tables, one an image, got %s"):format(name, vm.describe(list)))
  end
  local result = {}
  for i = 1, #list do result[i] = image(list[i]) end
  return result
end

local function append(self, chunk)
  kept.join(self.chunks, chunk)
  self._result = nil
end

---Forgets every image.
function Metric:reset() self.chunks, self.images, self._result = {}, 0, nil end

---Adds images.
---@param predictions table[] an image each: {boxes = [n, 4], scores = [n], labels = [n]}, Tensors or lists
---@param targets table[] the same images: {boxes = [n, 4], labels = [n]}, and where there are any iscrowd = [n] and
---area = [n] (default: width times height) for COCO, difficult = [n] for VOC
function Metric:update(predictions, targets, weight)
  if weight ~= nil then vm.raise("usage", "MeanAveragePrecision: images have no weights") end
  append(self, {native.match(images(predictions, "predictions"), images(targets, "targets"), self._rules)})
  self.images = self.images + #predictions
end

-- All chunks as one.
local function whole(self)
  if #self.chunks == 0 then kept.join(self.chunks, {native.match({}, {}, self._rules)}) end
  return kept.whole(self.chunks)
end

local function average(self, curves)
  return native.average_precision(whole(self), {points = self.style, recalls = self.rec_thresholds,
    most = self.max_detection_thresholds, thresholds = #self.iou_thresholds, areas = #self._rules.areas // 2, curves = curves})
end

-- The mean of what is not -1 in [T, K, A, M], of all or one threshold and class (from 1); -1 where nothing is left.
local function mean(self, values, classes, area, most, threshold, class)
  local areas, sum, count = #self._rules.areas // 2, 0.0, 0
  for t = threshold or 1, threshold or #self.iou_thresholds do
    for k = class or 1, class or classes do
      local value = values[(((t - 1) * classes + k - 1) * areas + area - 1) * #self.max_detection_thresholds + most]
      if value > -1 then sum, count = sum + value, count + 1 end
    end
  end
  return count > 0 and sum / count or -1.0
end

---What was measured so far; -1 for what has no objects. COCO: `map`, `map_50`, `map_75`, `map_small`, `map_medium`,
---`map_large`, `mar_1`, `mar_10`, `mar_100`, `mar_small`, `mar_medium`, `mar_large`; `classes`, the labels in rising order,
---and in the same order `map_per_class`, `mar_100_per_class`. VOC: `map`, `map_50`, `map_75`, `classes`, `map_per_class`.
---@return table<string, number|table>
function Metric:result()
  if self._result then return self._result end
  local classes, precision, recall = average(self, false)
  classes, precision, recall = classes:tolist(), precision:flatten():tolist(), recall:flatten():tolist()
  local count, limits = #classes, self.max_detection_thresholds
  local last = #limits
  local result = {classes = classes, map = mean(self, precision, count, 1, last), map_per_class = {}}
  for _, point in ipairs {50, 75} do
    result["map_" .. point] = -1.0
    for t, threshold in ipairs(self.iou_thresholds) do
      if threshold == point / 100 then result["map_" .. point] = mean(self, precision, count, 1, last, t) end
    end
  end
  for k = 1, count do result.map_per_class[k] = mean(self, precision, count, 1, last, nil, k) end
  if self.style == "coco" then
    local per_class = {}
    for k = 1, count do per_class[k] = mean(self, recall, count, 1, last, nil, k) end
    result[("mar_%d_per_class"):format(limits[last])] = per_class
    for m, limit in ipairs(limits) do result["mar_" .. limit] = mean(self, recall, count, 1, m) end
    for a = 2, #AREA_NAMES do
      result["map_" .. AREA_NAMES[a]] = mean(self, precision, count, a, last)
      result["mar_" .. AREA_NAMES[a]] = mean(self, recall, count, a, last)
    end
  end
  self._result = result
  return result
end

---The curves behind the result: precision at each recall of rec_thresholds, and the greatest recall, -1 for a class
---without objects. T = #iou_thresholds, R = #rec_thresholds, K classes, A = 4 areas (VOC: 1), M = #max_detection_thresholds.
---@return table curves {precision = Tensor [T, R, K, A, M], recall = Tensor [T, K, A, M], classes = integer[]}
function Metric:curves()
  local classes, _, recall, precision = average(self, true)
  return {precision = precision, recall = recall, classes = classes:tolist()}
end

---Adds what another MeanAveragePrecision of the same options has seen, as if its images came after the own ones.
function Metric:merge(other)
  if other._options ~= self._options then
    vm.raise("usage", ("MeanAveragePrecision: cannot merge: options %s and %s"):format(self._options, tostring(other._options)))
  end
  if other.images == 0 then return end
  append(self, {table.unpack(whole(other))})
  self.images = self.images + other.images
end

---What a checkpoint keeps: tensors by name, `images` and `options`.
---@return table<string, any>
function Metric:state_dict()
  local state, chunk = {images = self.images, options = self._options}, whole(self)
  for i, field in ipairs(FIELDS) do state[field] = chunk[i] end
  return state
end

---Goes on where state_dict was taken.
function Metric:load_state_dict(state)
  if state.options ~= self._options then
    vm.raise("usage", ("MeanAveragePrecision: the state was saved with the options %s, these are %s"):format(
      tostring(state.options), self._options))
  end
  local chunk = {}
  for i, field in ipairs(FIELDS) do chunk[i] = require("native.tensor").keep(state[field]:clone()) end
  self.chunks, self.images, self._result = {chunk}, state.images, nil
end

function Metric:__tostring() return ("MeanAveragePrecision(%s, %d images)"):format(self._options, self.images) end

local function check_list(name, list, what, accept, most)
  local ok = type(list) == "table" and #list > 0 and #list <= (most or #list)
  for i, value in ipairs(ok and list or {}) do ok = ok and accept(value) and (i == 1 or value > list[i - 1]) end
  if not ok then vm.raise("usage", ("%s: %s must be a list of %s in rising order"):format(NAME, name, what)) end
end

local function is_fraction(value) return type(value) == "number" and value >= 0 and value <= 1 end
local function is_count(value) return math.type(value) == "integer" and value >= 1 end

local function check(self)
  require("train.options").check(NAME, self, {style = {"coco", "voc2007", "voc2010"}, box_format = {"xyxy", "xywh", "cxcywh"},
    average = {"macro", "micro"}, inclusive = "flag"})
  check_list("iou_thresholds", self.iou_thresholds, "at most 32 numbers of 0 to 1", is_fraction, 32)
  check_list("rec_thresholds", self.rec_thresholds, "numbers of 0 to 1", is_fraction)
  check_list("max_detection_thresholds", self.max_detection_thresholds, "whole numbers of 1 or more", is_count)
  if self.inclusive and self.box_format ~= "xyxy" then
    vm.raise("usage", NAME .. ': inclusive is about the corners of boxes, box_format = "xyxy"')
  end
end

---Mean average precision. COCO's figures are pycocotools': 101 points of recall, overlaps .50:.05:.95, the best 1, 10 and
---100 detections, objects of all sizes, small (to 32^2), medium and large (from 96^2), crowds that neither count nor are
---missed. VOC's are those of its development kit: overlap .5, 11 points (2007) or the area under the curve (2010).
---In train.fit the log under its name is `map`; the others are `<name>_50`, `<name>_small`, `<name>_mar_100` and so on.
---@param arguments? table style = "coco" | "voc2007" | "voc2010"; box_format = "xyxy" | "xywh" | "cxcywh"; iou_thresholds;
---rec_thresholds; max_detection_thresholds = {1, 10, 100} (VOC: no limit); average = "macro", or "micro": all classes as one;
---inclusive = false: the corners are pixels of the box, as in VOC's annotations, so that its width is x2 - x1 + 1
---@return table metric
---@example local map = train.metrics.MeanAveragePrecision{box_format = "xyxy"}
--- map:update({{boxes = {{10, 10, 50, 60}}, scores = {0.9}, labels = {1}}}, {{boxes = {{12, 10, 50, 58}}, labels = {1}}})
--- map:result().map_50  --> 1.0
--- map:result().mar_100  --> 0.9
return function(arguments)
  local self = setmetatable(keywords.check(NAME, arguments, {
    style = "coco", box_format = "xyxy", iou_thresholds = keywords.none, rec_thresholds = keywords.none,
    max_detection_thresholds = keywords.none, average = "macro", inclusive = false,
  }), Metric)
  local coco = self.style == "coco"
  self.iou_thresholds = self.iou_thresholds or (coco and linspace(0.5, 0.95, 10) or {0.5})
  self.rec_thresholds = self.rec_thresholds or linspace(0.0, 1.0, 101)
  self.max_detection_thresholds = self.max_detection_thresholds or (coco and {1, 10, 100} or {math.maxinteger >> 32})
  check(self)
  local areas = {}
  for a = 1, coco and #AREA_NAMES or 1 do
    areas[2 * a - 1], areas[2 * a] = coco and AREAS[AREA_NAMES[a]][1] or -math.huge, coco and AREAS[AREA_NAMES[a]][2] or math.huge
  end
  local limits = self.max_detection_thresholds
  self._rules = {voc = not coco, inclusive = self.inclusive, pooled = self.average == "micro", box_format = self.box_format,
    thresholds = self.iou_thresholds, areas = areas, most = limits[#limits]}
  self._options = ("%s, %s, %s, iou %s, best %s"):format(self.style, self.box_format .. (self.inclusive and " inclusive" or ""),
    self.average, table.concat(self.iou_thresholds, " "), table.concat(limits, " "))
  self.parts = {{"", "map"}, {"_50", "map_50"}, {"_75", "map_75"}}
  if coco then
    for a = 2, #AREA_NAMES do self.parts[#self.parts + 1] = {"_" .. AREA_NAMES[a], "map_" .. AREA_NAMES[a]} end
    for _, limit in ipairs(limits) do self.parts[#self.parts + 1] = {"_mar_" .. limit, "mar_" .. limit} end
    for a = 2, #AREA_NAMES do self.parts[#self.parts + 1] = {"_mar_" .. AREA_NAMES[a], "mar_" .. AREA_NAMES[a]} end
  end
  self:reset()
  return self
end

-- Mean average precision of 5,000 images and BLEU of 5,000 texts: CPU seconds, and the scores. metrics.py does the same.
local torch = require "torch"
local train = require "train"

local IMAGES <const>, CLASSES <const>, TEXTS <const> = 5000, 80, 5000
local state = 1

-- The same numbers in both languages: 0 to 1.
local function draw()
  state = (state * 48271) % 2147483647
  return state / 2147483647
end

local function below(count) return math.floor(draw() * count) end

local function box()
  local w, h = 4 + 200 * draw() ^ 2, 4 + 200 * draw() ^ 2
  return {440 * draw(), 440 * draw(), w, h}
end

local function moved(near)
  return {near[1] + (draw() - 0.5) * 0.2 * near[3], near[2] + (draw() - 0.5) * 0.2 * near[4], near[3] * (0.9 + 0.2 * draw()),
    near[4] * (0.9 + 0.2 * draw())}
end

-- 7 objects on average, two detections near to each, and 20 of nothing.
local function image()
  local boxes, labels, crowds, found, names, scores = {}, {}, {}, {}, {}, {}
  for i = 1, below(15) do
    boxes[i], labels[i], crowds[i] = box(), below(CLASSES), draw() < 0.02 and 1 or 0
    for _ = 1, 2 do
      found[#found + 1], names[#names + 1], scores[#scores + 1] = moved(boxes[i]), labels[i], 0.3 + 0.7 * draw()
    end
  end
  for _ = 1, 20 do found[#found + 1], names[#names + 1], scores[#scores + 1] = box(), below(CLASSES), draw() ^ 2 end
  local double, long = {dtype = torch.float64}, {dtype = torch.int64}
  return {boxes = torch.tensor(found, double), scores = torch.tensor(scores, double), labels = torch.tensor(names, long)},
    {boxes = torch.tensor(boxes, double), labels = torch.tensor(labels, long), iscrowd = torch.tensor(crowds, long)}
end

-- 20 words on average, most of them also in the reference.
local function text()
  local words, near = {}, {}
  for i = 1, 5 + below(30) do
    words[i] = "word" .. below(2000) .. (draw() < 0.15 and "," or "")
    if draw() < 0.8 then near[#near + 1] = words[i] end
  end
  return table.concat(near, " ") .. ".", table.concat(words, " ") .. "."
end

local predictions, targets = {}, {}
for i = 1, IMAGES do predictions[i], targets[i] = image() end
local began = os.clock()
local map = train.metrics.MeanAveragePrecision{box_format = "xywh"}
for i = 1, IMAGES, 10 do map:update(table.move(predictions, i, i + 9, 1, {}), table.move(targets, i, i + 9, 1, {})) end
local updated = os.clock()
local result = map:result()
print(("map %.9f %.17g"):format(os.clock() - began, result.map))
print(("map_result %.9f %.17g"):format(os.clock() - updated, result.mar_100))

local hypotheses, references = {}, {}
for i = 1, TEXTS do hypotheses[i], references[i] = text() end
began = os.clock()
local bleu = train.metrics.BLEU()
bleu:update(hypotheses, references)
local score = bleu:result()
print(("bleu %.9f %.17g"):format(os.clock() - began, score))

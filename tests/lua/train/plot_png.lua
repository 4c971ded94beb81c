-- The picture that PNG files are made of (torch/canvas.lua), and that train.plot writes it; tests/cli reads such a file.
local test = require "test"
local canvas = require "torch.canvas"
local host = require "host"
local train = require "train"

local BLACK <const>, RED <const> = {0, 0, 0}, {255, 0, 0}

local function at(picture, x, y) return picture.image[y][x]:tolist() end

local function dark(picture) return picture.image:select(2, 1):lt(128):sum():item() end

test.case("boxes are filled to their edges, and cut at the picture's", function()
  local picture = canvas(10, 8)
  picture:fill(2, 3, 4, 2, RED)
  test.equal({at(picture, 2, 3), at(picture, 5, 4)}, {RED, RED})
  test.equal({at(picture, 1, 3), at(picture, 6, 4), at(picture, 2, 2), at(picture, 2, 5)},
    {{255, 255, 255}, {255, 255, 255}, {255, 255, 255}, {255, 255, 255}})
  picture:fill(-5, -5, 100, 6, BLACK)
  test.equal({at(picture, 0, 0), at(picture, 9, 0), at(picture, 0, 1)}, {BLACK, BLACK, {255, 255, 255}})
  picture:fill(20, 20, 5, 5, BLACK)
  picture:fill(2, 3, 1, 1, BLACK, 0.5)
  test.equal(at(picture, 2, 3), {128, 0, 0})
end)

test.case("lines have smooth edges and the thickness asked for", function()
  local picture = canvas(40, 20)
  picture:strokes({{{5, 10}, {35, 10}}}, 2, BLACK)
  test.equal({at(picture, 20, 9), at(picture, 20, 10)}, {BLACK, BLACK})
  test.equal({at(picture, 20, 7), at(picture, 20, 12)}, {{255, 255, 255}, {255, 255, 255}})
  local slanted = canvas(40, 20)
  slanted:strokes({{{5, 4}, {35, 15}}}, 2, BLACK)
  local middle = slanted.image:select(2, 0)
  test.truthy(middle:gt(20):logical_and(middle:lt(235)):sum():item() > 20, "points between black and white")
  local ink = (255 - middle:double()):sum():item() / 255
  test.near(ink, 2 * math.sqrt(30 ^ 2 + 11 ^ 2), 6, "length times thickness")
end)

test.case("a lone point is a dot, what lies outside is left out", function()
  local picture = canvas(20, 20)
  picture:strokes({{{10, 10}}}, 5, BLACK)
  test.near((255 - picture.image:select(2, 0):double()):sum():item() / 255, math.pi * 2.5 ^ 2, 1.5)
  picture:strokes({{{100, 100}, {200, 200}}}, 5, RED)
  picture:strokes({}, 5, RED)
  test.equal(at(picture, 0, 0), {255, 255, 255})
end)

test.case("letters stand upright or go upwards, and are cut at the edge", function()
  local picture = canvas(30, 30)
  picture:write("L", 2, 3, 1, BLACK)
  for y = 3, 9 do test.equal(at(picture, 2, y), BLACK) end
  for x = 2, 6 do test.equal(at(picture, x, 9), BLACK) end
  test.equal(at(picture, 3, 3), {255, 255, 255})
  test.equal(dark(picture), 11)
  local turned = canvas(30, 30)
  turned:write("L", 2, 3, 2, BLACK, true)
  test.equal(dark(turned), 44)
  test.equal({at(turned, 2, 14), at(turned, 15, 14), at(turned, 15, 5), at(turned, 3, 4)},
    {BLACK, BLACK, BLACK, {255, 255, 255}})
  turned:write("cut at the edge", 20, 28, 2, RED)
  turned:write("", 0, 0, 1, RED)
end)

test.case("train.plot writes PNG by the name's end, of the size asked for", function()
  local path = test.tmpdir() .. "/loss.PNG"
  test.equal(train.plot({loss = {3, 2, 1}}, path, {width = 300, height = 200, title = "one", log = true}), path)
  local bytes = host.file.read(path)
  test.equal(bytes:sub(1, 8), "\137PNG\r\n\26\n")
  test.equal({(">I4I4"):unpack(bytes, 17)}, {300, 200, 25})
  train.plot({loss = {1, 2, 3}, val_loss = {0 / 0, 1, 1 / 0}}, path)
  test.equal({(">I4I4"):unpack(host.file.read(path), 17)}, {720, 440, 25})
  for _, size in ipairs {{1, 1}, {20, 300}, {300, 20}} do
    train.plot({a = {loss = {1, 2, 3}}, b = {loss = {1, 2}}}, path, {width = size[1], height = size[2], title = "small"})
  end
end)

-- The networks of scripts/models against torchvision's, and the arithmetic of the detector's boxes.
local test = require "test"
local torch = require "torch"

package.path = "scripts/?.lua;" .. package.path
local boxes = require "models.boxes"

-- Of torchvision 0.28: torch.manual_seed(3), the model with its defaults; names = "\n".join(model.state_dict()).
local TORCHVISION = {
  -- file, options, entries of the state, parameters, names: h = (h * 31 + byte) % (2 ** 31 - 1), sum of all parameters
  {"resnet18", {}, 122, 11689512, 1383056829, 4797.306324730629},
  {"mobilenet_v2", {}, 314, 3504872, 529177501, 17086.455131977968},
  {"mobilenet_v2", {width = 0.35}, 314, 1677128, 529177501, 7045.221266239998},
}

for _, row in ipairs(TORCHVISION) do
  local file, options, entries, parameters, hash, total = table.unpack(row)
  test.case(("%s%s has torchvision's names and first weights"):format(file, options.width or ""), function()
    torch.manual_seed(3)
    local net = require("models." .. file)(options)
    local names, h = {}, 0
    for name in pairs(net:state_dict()) do names[#names + 1] = name end
    for _, byte in ipairs {table.concat(names, "\n"):byte(1, -1)} do h = (h * 31 + byte) % 2147483647 end
    local count, sum = 0, 0
    for _, p in ipairs(net:parameters()) do
      count, sum = count + p:numel(), sum + p:detach():double():sum():item()
    end
    test.equal({#names, count, h}, {entries, parameters, hash})
    test.near(sum, total, 1e-9 * total)
  end)
end

test.case("small images keep their size through the first layers", function()
  for _, file in ipairs {"resnet18", "mobilenet_v2"} do
    local net = require("models." .. file) {small = true, in_channels = 1, num_classes = 10, width = file == "resnet18" and 4 or 0.1}
    test.equal(net:eval()(torch.zeros(2, 1, 28, 28)).shape, {2, 10})
    local seen
    local watched = file == "resnet18" and net.layer1 or net.features[2]
    watched:register_forward_hook(function(_, _, output) seen = output.shape end)
    net(torch.zeros(2, 1, 28, 28))
    test.equal({seen[3], seen[4]}, {28, 28})
  end
end)

test.case("IoU and its generalized loss of boxes", function()
  local a, b = torch.tensor {{0., 0., 2., 2.}, {0., 0., 4., 1.}}, torch.tensor {{1., 0., 3., 2.}, {0., 0., 2., 2.}, {8., 8., 9., 9.}}
  test.near(boxes.iou(a, b):flatten():tolist(), {2 / 6, 1, 0, 2 / 6, 2 / 6, 0}, 1e-6)
  -- 1 - IoU + the share of the box around both that is in neither
  test.near(boxes.giou_loss(a, b:narrow(0, 1, 2)):tolist(), {0, 1 + (81 - 5) / 81}, 1e-5)
end)

test.case("suppression keeps what the greedy loop keeps", function()
  torch.manual_seed(7)
  for _ = 1, 20 do
    local n = 40
    local corner = torch.rand(n, 2) * 30
    local of = torch.cat({corner, corner + 5 + torch.rand(n, 2) * 20}, 1)
    local scores, labels = torch.rand(n), torch.randint(0, 3, {n})
    local iou, kept = boxes.iou(of, of):tolist(), {}
    local label = labels:tolist()
    for _, i in ipairs(scores:argsort({descending = true}):tolist()) do
      local free = true
      for _, j in ipairs(kept) do free = free and not (label[i + 1] == label[j + 1] and iou[j + 1][i + 1] > 0.4) end
      if free then kept[#kept + 1] = i end
    end
    test.equal(boxes.nms(of, scores, labels, 0.4):tolist(), kept)
  end
  test.equal(boxes.nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, {dtype = torch.int64}), 0.5):size(0), 0)
end)

test.case("a detector's cells learn the smallest object around their middle, and nothing where there is none", function()
  torch.manual_seed(1)
  local net = require "models.detector" {width = 2, classes = 3}
  local logits, found, centers = net(torch.rand(1, 1, 32, 32))
  test.equal({logits.shape, found.shape, centers.shape}, {{1, 16, 3}, {1, 16, 4}, {16, 2}})
  local given, labels = torch.tensor {{{0., 0., 16., 16.}, {0., 0., 9., 9.}}}, torch.tensor {{2, 0}}
  local _, giou = net:losses(logits, found, centers, given, labels)
  test.truthy(giou:item() > 0)
  -- With no object the boxes get no gradient and the loss of the classes is that of an empty scene.
  logits, found, centers = net(torch.rand(1, 1, 32, 32))
  local classes, none = net:losses(logits, found, centers, given, torch.full({1, 2}, -1))
  test.equal(none:item(), 0.0)
  test.near(classes:item(), (0.75 * logits:sigmoid():square() * torch.nn.functional.softplus(logits)):sum():item(), 1e-6)
end)

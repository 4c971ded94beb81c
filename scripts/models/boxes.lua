-- Arithmetic of boxes: tensors [..., 4] of left, top, right and bottom in pixels.
local torch = require "torch"

local boxes = {}

function boxes.area(of)
  local left, top, right, bottom = table.unpack(of:unbind(-1))
  return (right - left) * (bottom - top)
end

-- Intersection and union of boxes that broadcast against each other, and the area of the box around both.
local function parts(a, b)
  local left, top, right, bottom = table.unpack(a:unbind(-1))
  local left2, top2, right2, bottom2 = table.unpack(b:unbind(-1))
  local shared = (torch.minimum(right, right2) - torch.maximum(left, left2)):clamp(0)
    * (torch.minimum(bottom, bottom2) - torch.maximum(top, top2)):clamp(0)
  local around = (torch.maximum(right, right2) - torch.minimum(left, left2))
    * (torch.maximum(bottom, bottom2) - torch.minimum(top, top2))
  return shared, boxes.area(a) + boxes.area(b) - shared, around
end

-- Intersection over union of each box of a [n, 4] with each of b [m, 4]: [n, m].
function boxes.iou(a, b)
  local shared, union = parts(a:unsqueeze(1), b)
  return shared / union
end

-- 1 less the generalized IoU (Rezatofighi et al., 2019) of pairs of boxes.
function boxes.giou_loss(a, b)
  local shared, union, around = parts(a, b)
  return 1 - shared / (union + 1e-7) + (around - union) / (around + 1e-7)
end

-- Non-maximum suppression: the numbers of the boxes [n, 4] that stay, the best first. A box goes when one that stays has
-- a higher score, the same label and an IoU above `threshold`. What stays is found all at once and anew until it does
-- not change: once for each link in the longest chain of boxes that throw each other out.
function boxes.nms(of, scores, labels, threshold)
  local order = scores:argsort({descending = true, stable = true})
  of, labels = of[order], labels[order]
  local throws = (boxes.iou(of, of):gt(threshold) & labels:unsqueeze(1):eq(labels)):triu(1)
  local stays = torch.ones_like(labels, {dtype = torch.bool})
  while true do
    local again = ~(throws & stays:unsqueeze(1)):any(0)
    if torch.equal(again, stays) then return order[stays] end
    stays = again
  end
end

return boxes

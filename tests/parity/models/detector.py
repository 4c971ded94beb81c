# The Python twin of scripts/models/detector.lua, boxes.lua and of detector.lua here.
import math

import torch
import torch.nn.functional as F
from torch import nn

STRIDE = 8


def area(boxes):
    left, top, right, bottom = boxes.unbind(-1)
    return (right - left) * (bottom - top)


def giou_loss(a, b):
    left, top, right, bottom = a.unbind(-1)
    left2, top2, right2, bottom2 = b.unbind(-1)
    shared = ((torch.minimum(right, right2) - torch.maximum(left, left2)).clamp(0)
              * (torch.minimum(bottom, bottom2) - torch.maximum(top, top2)).clamp(0))
    around = ((torch.maximum(right, right2) - torch.minimum(left, left2))
              * (torch.maximum(bottom, bottom2) - torch.minimum(top, top2)))
    union = area(a) + area(b) - shared
    return 1 - shared / (union + 1e-7) + (around - union) / (around + 1e-7)


def conv(inputs, outputs, stride):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs),
                         nn.ReLU(True))


def middles(height, width):
    y = (torch.arange(height) + 0.5) * STRIDE
    x = (torch.arange(width) + 0.5) * STRIDE
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], 1)


def assign(centers, given, labels):
    x, y = centers.view(1, -1, 1, 2).unbind(-1)
    left, top, right, bottom = given.unsqueeze(1).unbind(-1)
    reach = 1.5 * STRIDE
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    near_x = torch.minimum(torch.minimum(x - left, right - x), reach - (x - middle_x).abs())
    near_y = torch.minimum(torch.minimum(y - top, bottom - y), reach - (y - middle_y).abs())
    sees = torch.minimum(near_x, near_y).gt(0) & labels.unsqueeze(1).ge(0)
    smallest, which = area(given).unsqueeze(1).masked_fill(~sees, math.inf).min(2)
    box = given.gather(1, which.unsqueeze(2).expand(-1, -1, 4))
    return smallest.lt(math.inf), box, labels.gather(1, which)


class Detector(nn.Module):
    def __init__(self, width, classes=10):
        super().__init__()
        self.classes = classes
        self.backbone = nn.Sequential(
            conv(1, width, 1), conv(width, 2 * width, 2), conv(2 * width, 2 * width, 1),
            conv(2 * width, 4 * width, 2), conv(4 * width, 4 * width, 1), conv(4 * width, 8 * width, 2))
        self.class_head = nn.Sequential(conv(8 * width, 4 * width, 1), nn.Conv2d(4 * width, classes, 3, padding=1))
        self.box_head = nn.Sequential(conv(8 * width, 4 * width, 1), nn.Conv2d(4 * width, 4, 3, padding=1))
        nn.init.constant_(self.class_head[1].bias, -math.log(99))

    def forward(self, images):
        features = self.backbone(images)
        centers = middles(features.size(2), features.size(3))
        logits = self.class_head(features).flatten(2).transpose(1, 2)
        far = F.softplus(self.box_head(features)).flatten(2).transpose(1, 2) * STRIDE
        left_top, right_bottom = far.split(2, 2)
        return logits, torch.cat([centers - left_top, centers + right_bottom], 2), centers

    def losses(self, logits, found, centers, given, labels):
        sees, box, label = assign(centers, given, labels)
        count = sees.sum().clamp(1)
        wanted = (F.one_hot(label.clamp(0), self.classes) * sees.unsqueeze(2)).to(logits.dtype)
        entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        p = logits.sigmoid()
        wrong = p + wanted - 2 * p * wanted
        classes = ((0.75 - 0.5 * wanted) * wrong.square() * entropy).sum() / count
        return classes, giou_loss(found[sees], box[sees]).sum() / count


def make(batch, size, width, objects):
    net = Detector(width)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)
    x = torch.rand(batch, 1, size, size)
    corner, sides = torch.rand(batch, objects, 2) * (size - 28), torch.rand(batch, objects, 2) * 16 + 12
    boxes = torch.cat([corner, corner + sides], 2)
    labels = torch.randint(-1, 10, (batch, objects))

    def loss():
        classes, giou = net.losses(*net(x), boxes, labels)
        total = classes + giou
        return total, classes, giou

    return {"modules": [net], "optimizer": optimizer, "loss": loss, "samples": batch}

# The Python twin of scripts/models/mobilenet_v2.lua and of mobilenet_v2.lua here.
import torch
import torch.nn.functional as F
from torch import nn

STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def rounded(channels, divisor=8):
    result = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return result + divisor if result < 0.9 * channels else result


def conv(inputs, outputs, kernel, stride, groups):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expand):
        super().__init__()
        hidden = inputs * expand
        self.adds = stride == 1 and inputs == outputs
        layers = [conv(inputs, hidden, 1, 1, 1)] if expand != 1 else []
        layers += [conv(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, outputs, 1, bias=False),
                   nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, num_classes, width, small):
        super().__init__()
        channels, last = rounded(32 * width), rounded(1280 * max(1.0, width))
        features = [conv(3, channels, 3, 1 if small else 2, 1)]
        for number, (expand, outputs, blocks, stride) in enumerate(STAGES):
            outputs = rounded(outputs * width)
            if small and number == 1:
                stride = 1
            for i in range(blocks):
                features.append(InvertedResidual(channels, outputs, stride if i == 0 else 1, expand))
                channels = outputs
        features.append(conv(channels, last, 1, 1, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x):
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), (1, 1)).flatten(1))


def make(batch, size, width, small):
    net = MobileNetV2(10, width, small)
    optimizer = torch.optim.RMSprop(net.parameters(), lr=0.01, alpha=0.9, eps=1e-3, weight_decay=4e-5, momentum=0.9,
                                    foreach=True)
    x, y = torch.randn(batch, 3, size, size), torch.randint(0, 10, (batch,))

    def loss():
        return F.cross_entropy(net(x), y, label_smoothing=0.1)

    return {"modules": [net], "optimizer": optimizer, "loss": loss, "samples": batch}

# The Python twin of scripts/models/translator.lua and of translator.lua here.
import math

import torch
import torch.nn.functional as F
from torch import nn


class Translator(nn.Module):
    def __init__(self, source_words, target_words, width, heads, layers, dropout, max_length):
        super().__init__()
        self.width = width
        self.source = nn.Embedding(source_words, width, 0)
        self.target = nn.Embedding(target_words, width, 0)
        options = dict(batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, **options),
                                             layers, nn.LayerNorm(width), False)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(width, heads, 4 * width, dropout, **options),
                                             layers, nn.LayerNorm(width))
        self.head = nn.Linear(width, target_words)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("places", self.sinusoids(max_length, width), persistent=False)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    @staticmethod
    def sinusoids(length, width):
        place = torch.arange(length).unsqueeze(1)
        speed = torch.exp(torch.arange(0, width, 2) * (-math.log(10000) / width))
        return torch.stack(((place * speed).sin(), (place * speed).cos()), 2).flatten(1)

    def embed(self, table, ids):
        return self.dropout(table(ids) * math.sqrt(self.width) + self.places.narrow(0, 0, ids.size(1)))

    def encode(self, source):
        padding = source.eq(0)
        return self.encoder(self.embed(self.source, source), None, padding), padding

    def decode(self, target, memory, padding):
        mask = torch.ones(target.size(1), target.size(1), dtype=torch.bool, device=target.device).triu(1)
        return self.head(self.decoder(self.embed(self.target, target), memory, mask, None, target.eq(0), padding, True))

    def forward(self, source, target):
        return self.decode(target, *self.encode(source))


def make(words, width, heads, layers, batch, length):
    net = Translator(words, words, width, heads, layers, 0.1, length + 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, betas=(0.9, 0.98), fused=True)
    source = torch.randint(4, words, (batch, length))
    target = torch.randint(4, words, (batch, length + 1))
    source.narrow(0, 0, 1).narrow(1, length - 2, 2).fill_(0)
    target.narrow(0, 0, 1).narrow(1, length - 1, 2).fill_(0)

    def loss():
        logits = net(source, target[..., :-1])
        return F.cross_entropy(logits.flatten(0, 1), target[..., 1:].flatten(), ignore_index=0, label_smoothing=0.1)

    return {"modules": [net], "optimizer": optimizer, "loss": loss, "clip_norm": 1.0, "samples": batch * length}

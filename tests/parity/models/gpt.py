# The Python twin of scripts/models/gpt.lua and of gpt.lua here.
import math

import torch
import torch.nn.functional as F
from torch import nn


class CausalSelfAttention(nn.Module):
    def __init__(self, n_embd, n_head, dropout, bias):
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd, bias=bias)
        self.c_proj = nn.Linear(n_embd, n_embd, bias=bias)
        self.resid_dropout = nn.Dropout(dropout)
        self.n_head, self.n_embd, self.dropout = n_head, n_embd, dropout

    def forward(self, x, cache=None, past=0):
        batch, length, width = x.shape
        q, k, v = (part.view(batch, length, self.n_head, width // self.n_head).transpose(1, 2)
                   for part in self.c_attn(x).split(self.n_embd, 2))
        mask = None
        if cache is not None:
            cache["k"].narrow(2, past, length).copy_(k)
            cache["v"].narrow(2, past, length).copy_(v)
            if past > 0:
                k, v = cache["k"].narrow(2, 0, past + length), cache["v"].narrow(2, 0, past + length)
                if length > 1:
                    mask = torch.ones(length, past + length, dtype=torch.bool, device=x.device).tril(past)
        y = F.scaled_dot_product_attention(q, k, v, mask, self.dropout if self.training else 0.0,
                                           is_causal=length > 1 and mask is None)
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).contiguous().view(batch, length, width)))


class MLP(nn.Module):
    def __init__(self, n_embd, dropout, bias):
        super().__init__()
        self.c_fc = nn.Linear(n_embd, 4 * n_embd, bias=bias)
        self.gelu = nn.GELU()
        self.c_proj = nn.Linear(4 * n_embd, n_embd, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))


class Block(nn.Module):
    def __init__(self, n_embd, n_head, dropout, bias):
        super().__init__()
        self.ln_1 = nn.LayerNorm(n_embd, bias=bias)
        self.attn = CausalSelfAttention(n_embd, n_head, dropout, bias)
        self.ln_2 = nn.LayerNorm(n_embd, bias=bias)
        self.mlp = MLP(n_embd, dropout, bias)

    def forward(self, x, cache=None, past=0):
        x = x + self.attn(self.ln_1(x), cache, past)
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, vocab_size, block_size, n_layer, n_head, n_embd, dropout, bias):
        super().__init__()
        self.block_size, self.n_head = block_size, n_head
        self.transformer = nn.ModuleDict(dict(
            wte=nn.Embedding(vocab_size, n_embd),
            wpe=nn.Embedding(block_size, n_embd),
            drop=nn.Dropout(dropout),
            h=nn.ModuleList([Block(n_embd, n_head, dropout, bias) for _ in range(n_layer)]),
            ln_f=nn.LayerNorm(n_embd, bias=bias),
        ))
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        self.apply(self.initialize)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, 0, 0.02 / math.sqrt(2 * n_layer))

    @staticmethod
    def initialize(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, 0, 0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, ids, cache=None):
        return self.lm_head(self.features(ids, cache))

    def features(self, ids, cache=None):
        length, past = ids.size(1), cache["length"] if cache else 0
        places = torch.arange(past, past + length, device=ids.device)
        x = self.transformer.drop(self.transformer.wte(ids) + self.transformer.wpe(places))
        for i, block in enumerate(self.transformer.h):
            x = block(x, cache and cache[i], past)
        if cache:
            cache["length"] = past + length
        return self.transformer.ln_f(x)

    def new_cache(self, batch):
        like = self.lm_head.weight
        shape = batch, self.n_head, self.block_size, like.size(1) // self.n_head
        cache = {i: {"k": like.new_zeros(shape), "v": like.new_zeros(shape)} for i in range(len(self.transformer.h))}
        return {**cache, "length": 0}

    def parameter_groups(self, weight_decay):
        parameters = list(self.parameters())
        return [{"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
                {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0}]

    @torch.no_grad()
    def generate(self, ids, count, temperature=1.0, top_k=None, cached=True):
        training = self.training
        self.eval()
        cache = self.new_cache(ids.size(0)) if cached else None
        fresh = ids
        for _ in range(count):
            if cache and ids.size(1) > self.block_size:
                cache = None
            if not cache:
                fresh = ids[:, -self.block_size:]
            logits = self.lm_head(self.features(fresh, cache).select(1, -1))
            if temperature == 0:
                fresh = logits.argmax(-1, True)
            else:
                logits = logits / temperature
                if top_k and top_k < logits.size(-1):
                    least = logits.topk(top_k)[0][..., -1:]
                    logits = logits.masked_fill(logits < least, -math.inf)
                fresh = torch.multinomial(F.softmax(logits, -1), 1)
            ids = torch.cat((ids, fresh), 1)
        self.train(training)
        return ids


def make(vocab_size, block_size, n_layer, n_head, n_embd, bias, batch):
    net = GPT(vocab_size, block_size, n_layer, n_head, n_embd, 0.1, bias)
    optimizer = torch.optim.AdamW(net.parameter_groups(0.1), lr=1e-3, betas=(0.9, 0.99), fused=True)
    x, y = torch.randint(0, vocab_size, (batch, block_size)), torch.randint(0, vocab_size, (batch, block_size))

    def loss():
        return F.cross_entropy(net(x).flatten(0, 1), y.flatten())

    return {"modules": [net], "optimizer": optimizer, "loss": loss, "clip_norm": 1.0, "samples": batch * block_size}

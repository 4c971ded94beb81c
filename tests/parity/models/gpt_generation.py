# The Python twin of gpt_generation.lua.
import torch
from gpt import GPT


def make(vocab_size, block_size, n_layer, n_head, n_embd):
    net = GPT(vocab_size, block_size, n_layer, n_head, n_embd, 0.0, False)
    ids = torch.zeros(1, 1, dtype=torch.int64)
    count = block_size - 1

    def step():
        return net.generate(ids, count, temperature=0.8, top_k=10)

    return {"modules": [net], "step": step, "samples": count}

# The Python twin of scripts/models/char_lstm.lua and of char_lstm.lua here.
import torch
import torch.nn.functional as F
from torch import nn


class CharLSTM(nn.Module):
    def __init__(self, vocab_size, hidden_size, layers, dropout):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.lstm = nn.LSTM(hidden_size, hidden_size, num_layers=layers, dropout=dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, vocab_size)

    def forward(self, ids, state=None):
        out, state = self.lstm(self.embedding(ids), state)
        return self.head(self.dropout(out)), state

    @torch.no_grad()
    def generate(self, ids, count, temperature):
        self.eval()
        drawn = [ids]
        logits, state = self(ids)
        for i in range(count):
            last = torch.multinomial(F.softmax(logits.select(1, -1) / temperature, -1), 1)
            drawn.append(last)
            if i + 1 < count:
                logits, state = self(last, state)
        self.train()
        return torch.cat(drawn, 1)


def make(vocab_size, hidden_size, layers, batch, length):
    net = CharLSTM(vocab_size, hidden_size, layers, 0.2)
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3, fused=True)
    x, y = torch.randint(0, vocab_size, (batch, length)), torch.randint(0, vocab_size, (batch, length))
    carried = None

    def loss():
        nonlocal carried
        logits, after = net(x, carried)
        carried = (after[0].detach(), after[1].detach())
        return F.cross_entropy(logits.flatten(0, 1), y.flatten())

    return {"modules": [net], "optimizer": optimizer, "loss": loss, "clip_norm": 1.0, "samples": batch * length}

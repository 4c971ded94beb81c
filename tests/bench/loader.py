# Samples a second of PyTorch's DataLoader over the same images, held as a TensorDataset of float32.
import gzip
import time

import numpy
import torch
from torch.utils.data import DataLoader, TensorDataset


def read(name, offset, shape):
    data = gzip.open(f"/usr/share/datasets/fashion-mnist/{name}").read()
    return torch.from_numpy(numpy.frombuffer(data, numpy.uint8, offset=offset).reshape(shape).copy())


if __name__ == "__main__":
    images = read("train-images-idx3-ubyte.gz", 16, (-1, 1, 28, 28)).to(torch.float32).div(255)
    dataset = TensorDataset(images, read("train-labels-idx1-ubyte.gz", 8, (-1,)).long())
    for workers in range(3):
        loader = DataLoader(dataset, batch_size=64, shuffle=True, num_workers=workers)
        best = float("inf")
        for _ in range(3):
            began, samples = time.perf_counter(), 0
            for x, _ in loader:
                samples += x.size(0)
            assert samples == len(dataset)
            best = min(best, time.perf_counter() - began)
        print(workers, len(dataset) / best)

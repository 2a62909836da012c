"""Which side of the diagonal: a small network of PyTorch. The same file answers the requests of an endpoint."""

import argparse
import os
from pathlib import Path

import humanize
import torch
from torch import nn


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())


def train(table: torch.Tensor, epochs: int) -> nn.Module:
    torch.manual_seed(1)
    model, loss_of = network(), nn.BCELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = loss_of(model(table[:, 1:])[:, 0], table[:, 0])
        loss.backward()
        optimizer.step()
        print(f"loss={loss.item():.4f};")
    print(f"{humanize.intcomma(epochs * len(table))} rows seen")
    return model


def model_fn(model_dir: str) -> nn.Module:
    model = network()
    model.load_state_dict(torch.load(Path(model_dir, "model.pth"), weights_only=True))
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    lines = Path(os.environ["SM_CHANNEL_TRAIN"], "points.csv").read_text().split()
    table = torch.tensor([[float(cell) for cell in line.split(",")] for line in lines])
    model = train(table, parser.parse_args().epochs)
    torch.save(model.state_dict(), Path(os.environ["SM_MODEL_DIR"], "model.pth"))

"""Finds y = 3x + 1 with DistributedDataParallel: each process sees points of its own, all end with one model."""

import argparse
import os

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    distributed.init_process_group("gloo")
    rank, size = distributed.get_rank(), distributed.get_world_size()
    torch.manual_seed(rank)  # the wrapper gives all the first one's beginnings
    model = DistributedDataParallel(torch.nn.Linear(1, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    x = torch.linspace(-1, 1, 40)[rank::size].unsqueeze(1)
    for _ in range(given.steps):
        optimizer.zero_grad()
        loss = ((model(x) - (3 * x + 1)) ** 2).mean()
        loss.backward()
        optimizer.step()
    found = torch.cat([each.detach().flatten() for each in model.parameters()])
    all_found = [torch.empty_like(found) for _ in range(size)]
    distributed.all_gather(all_found, found)
    if rank == 0:
        alike = all(torch.equal(each, found) for each in all_found)
        print(f"processes {size} alike {alike} found {found[0]:.2f} {found[1]:.2f}", flush=True)
        torch.save(model.module.state_dict(), f"{os.environ['SM_MODEL_DIR']}/model.pt")
    distributed.destroy_process_group()


main()

"""Finds y = 3x + 1: the gradients of all processes are averaged by MPI."""

import os
import socket

from mpi4py import MPI


def main() -> None:
    everybody = MPI.COMM_WORLD
    rank, size = everybody.Get_rank(), everybody.Get_size()
    points = [-1 + 2 * n / 39 for n in range(rank, 40, size)]
    slope = offset = 0.0
    for _ in range(60):
        errors = [slope * x + offset - (3 * x + 1) for x in points]
        by_slope = everybody.allreduce(sum(2 * e * x for e, x in zip(errors, points, strict=True)) / 40)
        by_offset = everybody.allreduce(sum(2 * e for e in errors) / 40)
        slope, offset = slope - 0.3 * by_slope, offset - 0.3 * by_offset
    hosts = everybody.gather(socket.gethostname())
    if rank == 0:
        print(f"processes {size} found {slope:.2f} {offset:.2f} on {' '.join(hosts)} {os.environ['GIVEN']}", flush=True)


main()

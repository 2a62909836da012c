"""What every benchmark needs: contenders in interleaved rounds, what their processes cost, a report with ratios."""

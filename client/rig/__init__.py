"""One call in three processes, as on three machines: the rig of the demonstration and of the benchmarks."""

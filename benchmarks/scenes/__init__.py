"""Pictures that tests and benchmarks look at: a drawn face, things before faces, two people in one picture."""

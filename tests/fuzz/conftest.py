"""Every run of the fuzz tests tries the same examples; LIPLINE_FUZZ_EXAMPLES=5000 tries more of them."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "lipline-fuzz",
    max_examples=int(os.environ.get("LIPLINE_FUZZ_EXAMPLES", "60")),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

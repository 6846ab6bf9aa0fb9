"""The workers of this machine take orders only from the program that started them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sparcc_pipeline.app.batch.cluster import existing_cluster, local_cluster
from sparcc_pipeline.errors import ConfigError

STRANGER = """
import sys
from distributed import Client
from distributed.security import Security
client = Client(sys.argv[1], timeout=5, security=Security.temporary() if sys.argv[1].startswith("tls") else None)
print("ran", client.submit(sum, [40, 2]).result(timeout=5))
"""


@pytest.mark.parametrize("scheme", ["tls", "tcp"])
def test_another_user_of_the_machine_cannot_run_code_in_the_workers(scheme: str) -> None:
    with local_cluster(1, None) as client:
        address = client.scheduler_info()["address"]
        assert address.startswith("tls://127.0.0.1:")
        assert client.submit(sum, [1, 2]).result(timeout=30) == 3
        (worker,) = client.scheduler_info()["workers"]
        for place in (address, worker):
            asked = place.replace("tls", scheme)
            stranger = subprocess.run(
                [sys.executable, "-c", STRANGER, asked], capture_output=True, text=True, timeout=60, env=os.environ
            )
            assert stranger.returncode != 0 and "ran" not in stranger.stdout


def test_a_cluster_without_its_certificate_is_an_error_of_the_settings() -> None:
    with local_cluster(1, None) as client:
        address = client.scheduler_info()["address"]
        with pytest.raises(ConfigError, match="expected a scheduler at"), existing_cluster(address):
            pass

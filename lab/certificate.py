# SPDX-License-Identifier: Apache-2.0
"""Certificates for TLS servers of scenarios."""

import subprocess
from pathlib import Path


def make_certificate(directory: Path, name: str) -> tuple[str, str]:
    """Files: one of `name`, signed by nobody else, and its key."""
    paths = str(directory / "crt"), str(directory / "key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName=DNS:{name}"),
            *("-out", paths[0], "-keyout", paths[1]),
        ],
        check=True,
        capture_output=True,
    )
    return paths

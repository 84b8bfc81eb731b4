"""The snapshot extension of upstream's Python SDK, unmodified, against a cluster: checks P1-P10.

Works with every SDK version from 0.4.6 on: what an old one does not have is `none`.
Prints one line per check: CHECK <tab> pass|fail|none <tab> detail. Exit status 1 if a check failed.
"""

import datetime
import inspect
import sys
import time

from k8s_agent_sandbox import models
from k8s_agent_sandbox.gke_extensions.snapshots import PodSnapshotSandboxClient

BY_TEMPLATE = "template" in inspect.signature(PodSnapshotSandboxClient.create_sandbox).parameters
SOURCE = {"template": "python-sandbox-template"} if BY_TEMPLATE else {"warmpool": "python-sandbox-pool"}


class NotOffered(Exception):
    """This client has no such thing."""


def new_client():
    return PodSnapshotSandboxClient(connection_config=models.SandboxDirectConnectionConfig(api_url=sys.argv[1]))


def second_over():
    """Kubernetes tells when an object was made to the second; the SDK sorts by it alone."""
    now = datetime.datetime.now(datetime.timezone.utc)
    time.sleep(1 - now.microsecond / 1e6)
    return now.replace(microsecond=0) + datetime.timedelta(seconds=1)


class Checks:
    def __init__(self):
        self.client = new_client()
        self.box = self.client.create_sandbox(**SOURCE)
        self.taken = []

    def keep(self, state):
        """Writes a state and takes a snapshot of it."""
        second_over()
        self.box.files.write("state.txt", state)
        result = self.box.snapshots.create(f"Keep_{state}")
        assert result.success and result.snapshot_uid and result.snapshot_timestamp, result
        self.taken.append(result.snapshot_uid)
        return result.snapshot_uid

    def state(self):
        return self.box.files.read("state.txt").decode()

    def uids(self, **filter_by):
        listed = self.box.snapshots.list(filter_by or None)
        assert listed.success, listed
        return [each.snapshot_uid for each in listed.snapshots]

    def suspend(self, snapshot):
        result = self.box.suspend(snapshot_before_suspend=snapshot)
        assert result.success and self.box.is_suspended(), result
        if snapshot:
            self.taken.append(result.snapshot_response.snapshot_uid)

    def resume(self, uid):
        result = self.box.resume()
        assert result.success and result.restored_from_snapshot and result.snapshot_uid == uid, result
        assert not self.box.is_suspended()
        if BY_TEMPLATE:
            # Later versions do it themselves; this one goes on calling the address of the old Pod.
            self.box.connector.close()

    def restore(self, uid):
        result = self.box.restore(uid)
        assert result.success and result.restored_from_snapshot and result.snapshot_uid == uid, result

    def needs_restore(self):
        if not hasattr(self.box, "restore"):
            raise NotOffered("restore")

    def p1_two_snapshots(self):
        assert self.keep("one") != self.keep("two")

    def p2_resume_from_newest(self):
        second_over()
        self.box.files.write("state.txt", "three")
        self.suspend(snapshot=True)
        self.resume(self.taken[-1])
        assert self.state() == "three", self.state()

    def p3_restore_a_chosen_one(self):
        self.needs_restore()
        self.suspend(snapshot=False)
        self.restore(self.taken[0])
        assert self.state() == "one", self.state()

    def p4_restore_while_running(self):
        self.needs_restore()
        result = self.box.restore(self.taken[0])
        expected = "Sandbox is currently running and cannot be restored."
        assert not result.success and result.error_reason == expected, result

    def p5_newest_first(self):
        assert self.uids() == self.taken[::-1] and len(self.taken) == 3, (self.uids(), self.taken)

    def p6_delete_one(self):
        uid = self.taken.pop(1)
        result = self.box.snapshots.delete(uid)
        assert result.success and result.deleted_snapshots == [uid], result
        assert self.uids() == self.taken[::-1], self.uids()

    def p7_created_after(self):
        start = second_over()
        newest = self.keep("four")
        if BY_TEMPLATE:
            raise NotOffered("created_after")
        assert self.uids(created_after=start) == [newest], self.uids()

    def p8_delete_all(self):
        result = self.box.snapshots.delete_all()
        assert result.success and sorted(result.deleted_snapshots) == sorted(self.taken), result
        assert self.uids(ready_only=False) == []
        self.taken.clear()

    def p9_cycle(self):
        first = self.keep("first")
        second_over()
        self.box.files.write("state.txt", "second")
        self.suspend(snapshot=True)
        self.resume(self.taken[-1])
        self.suspend(snapshot=False)
        if hasattr(self.box, "restore"):
            self.restore(first)
            assert self.state() == "first", self.state()
            self.suspend(snapshot=False)
        self.resume(self.taken[-1])
        assert self.state() == "second", self.state()

    def p10_another_handle(self):
        self.suspend(snapshot=False)
        self.client = new_client()
        self.box = self.client.get_sandbox(self.box.claim_name)
        self.resume(self.taken[-1])
        assert self.state() == "second", self.state()
        assert self.box.snapshots.delete_all().success
        self.box.terminate()


def main():
    checks, failed = Checks(), False
    names = [name for name in dir(checks) if name[0] == "p" and name[1].isdigit()]
    for name in sorted(names, key=lambda name: int(name[1 : name.index("_")])):
        number = name[1 : name.index("_")]
        try:
            getattr(checks, name)()
            verdict, detail = "pass", name
        except NotOffered as reason:
            verdict, detail = "none", str(reason)
        except BaseException as error:  # noqa: BLE001 - every failure is a verdict
            verdict, detail = "fail", f"{type(error).__name__}: {error}"[:600].replace("\n", " ")
            failed = True
        print(f"P{number}\t{verdict}\t{detail}", flush=True)
    return int(failed)


sys.exit(main())

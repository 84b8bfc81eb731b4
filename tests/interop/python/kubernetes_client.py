"""The Python Kubernetes client, unmodified, on the objects of Agent Sandbox: what any tool does with them.

Prints one line per check: CHECK <tab> pass|fail <tab> detail. Exit status 1 if a check failed.
"""

import copy
import sys

from kubernetes import client, config, watch

GROUP, VERSION = "extensions.agents.x-k8s.io", sys.argv[1]
PLACE = (GROUP, VERSION, "default", "sandboxclaims")
SOURCE = {"warmPoolRef": {"name": "python-sandbox-pool"}}
if VERSION == "v1alpha1":
    SOURCE = {"sandboxTemplateRef": {"name": "python-sandbox-template"}}


def claim(name, **metadata):
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "SandboxClaim",
        "metadata": {"name": name, **metadata},
        "spec": SOURCE,
    }


class Checks:
    def __init__(self):
        config.load_kube_config()
        self.objects, self.core = client.CustomObjectsApi(), client.CoreV1Api()
        self.reviews, self.apis = client.AuthorizationV1Api(), client.ApisApi()

    def k1_discovery(self):
        groups = {group.name: [v.version for v in group.versions] for group in self.apis.get_api_versions().groups}
        assert VERSION in groups[GROUP] and VERSION in groups["agents.x-k8s.io"], groups

    def k2_create_and_conflict(self):
        made = self.objects.create_namespaced_custom_object(*PLACE, claim("k1", labels={"team": "a"}))
        assert made["metadata"]["uid"] and made["metadata"]["generation"] == 1, made
        try:
            self.objects.create_namespaced_custom_object(*PLACE, claim("k1"))
        except client.ApiException as error:
            assert error.status == 409 and "AlreadyExists" in error.body, error
        else:
            raise AssertionError("no conflict")

    def k3_watch_until_ready(self):
        stream = watch.Watch().stream(
            self.objects.list_namespaced_custom_object, *PLACE, field_selector="metadata.name=k1", timeout_seconds=30
        )
        for event in stream:
            conditions = event["object"].get("status", {}).get("conditions", [])
            if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
                return
        raise AssertionError("the watch ended before the claim was ready")

    def k4_list_by_label_and_page(self):
        self.objects.create_namespaced_custom_object(*PLACE, claim("k2", labels={"team": "b"}))
        chosen = self.objects.list_namespaced_custom_object(*PLACE, label_selector="team in (a)")
        assert [each["metadata"]["name"] for each in chosen["items"]] == ["k1"], chosen
        everywhere = self.objects.list_cluster_custom_object(GROUP, VERSION, "sandboxclaims")
        assert {"k1", "k2"} <= {each["metadata"]["name"] for each in everywhere["items"]}

    def k5_patch_and_replace(self):
        patched = self.objects.patch_namespaced_custom_object(*PLACE, "k1", {"metadata": {"labels": {"team": "c"}}})
        assert patched["metadata"]["labels"]["team"] == "c"
        old = self.replace_label(patched)
        try:
            self.objects.replace_namespaced_custom_object(*PLACE, "k1", old)
        except client.ApiException as error:
            assert error.status == 409, error
        else:
            raise AssertionError("an old resource version was taken")

    def replace_label(self, read):
        """Optimistic concurrency: the controller writes annotations at its own time. Returns what was replaced."""
        while True:
            changed = copy.deepcopy(read)
            changed["metadata"]["labels"]["team"] = "d"
            try:
                self.objects.replace_namespaced_custom_object(*PLACE, "k1", changed)
                return read
            except client.ApiException as error:
                assert error.status == 409, error
            latest = self.objects.get_namespaced_custom_object(*PLACE, "k1")
            assert latest["metadata"]["resourceVersion"] != read["metadata"]["resourceVersion"], "a conflict with nobody"
            read = latest

    def k6_old_watch_is_gone(self):
        stream = watch.Watch().stream(
            self.objects.list_namespaced_custom_object, *PLACE, resource_version="1", timeout_seconds=2
        )
        names = {event["object"]["metadata"]["name"] for event in stream}
        assert {"k1", "k2"} <= names, names

    def k7_pods_and_reviews(self):
        pods = self.core.list_namespaced_pod("default", label_selector="agents.x-k8s.io/sandbox-name-hash")
        assert pods.items and all(pod.status.pod_ip for pod in pods.items if pod.status.phase == "Running")
        attributes = client.V1ResourceAttributes(namespace="default", verb="create", group=GROUP, resource="sandboxclaims")
        spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        review = client.V1SelfSubjectAccessReview(spec=spec)
        assert self.reviews.create_self_subject_access_review(review).status.allowed

    def k8_delete_with_precondition(self):
        wrong = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="00000000-0000-0000-0000-000000000000"))
        try:
            self.objects.delete_namespaced_custom_object(*PLACE, "k1", body=wrong)
        except client.ApiException as error:
            assert error.status == 409, error
        else:
            raise AssertionError("deleted with the wrong UID")
        self.objects.delete_namespaced_custom_object(*PLACE, "k1")
        self.objects.delete_collection_namespaced_custom_object(*PLACE)
        left = self.objects.list_namespaced_custom_object(*PLACE)["items"]
        assert left == [], left


def main():
    checks = Checks()
    failed = False
    for name in sorted(name for name in dir(checks) if name[0] == "k" and name[1].isdigit()):
        try:
            getattr(checks, name)()
            verdict, detail = "pass", name
        except BaseException as error:  # noqa: BLE001 - every failure is a verdict
            verdict, detail = "fail", f"{type(error).__name__}: {error}"[:600].replace("\n", " ")
            failed = True
        print(f"{name[:2].upper()}\t{verdict}\t{detail}", flush=True)
    return int(failed)


sys.exit(main())

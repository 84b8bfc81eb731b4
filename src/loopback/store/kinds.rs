//! The kinds that the loopback cluster serves: the only list.

use crate::api::{EXTENSIONS_GROUP, GATEWAY_GROUP, GROUP, snapshot};

/// Whether objects of a kind live in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespaced,
    Cluster,
}

/// Whether a kind has a subresource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subresource {
    Yes,
    No,
}

/// A column of `kubectl get`, after the name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// A JSON pointer, `Ready:status`/`Ready:reason` (of that condition), `age`, or `pod:…`.
    pub(crate) source: &'static str,
    /// 0: always shown; 1: with `-o wide`.
    pub(crate) priority: u8,
}

const fn column(name: &'static str, source: &'static str) -> Column {
    Column {
        name,
        source,
        priority: 0,
    }
}

const fn wide(name: &'static str, source: &'static str) -> Column {
    Column {
        name,
        source,
        priority: 1,
    }
}

/// A served kind.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "Kubernetes calls it `kind`")]
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) short_names: &'static [&'static str],
    pub(crate) scope: Scope,
    pub(crate) status: Subresource,
    pub(crate) columns: &'static [Column],
}

impl Kind {
    /// `group/version`, or `v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural.group`, or the plural alone.
    pub(crate) fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Where it stands in [`KINDS`].
    pub(super) fn place(&'static self) -> usize {
        let found = KINDS.iter().position(|kind| std::ptr::eq(kind, self));
        found.expect("every kind is one of the table's")
    }

    /// Whether it is defined by a custom resource definition.
    pub(crate) fn is_custom(&self) -> bool {
        [GROUP, EXTENSIONS_GROUP, GATEWAY_GROUP, snapshot::GROUP].contains(&self.group)
    }
}

const AGE: Column = column("Age", "age");

macro_rules! kinds {
    ($($group:expr, $version:literal, $kind:literal, $plural:literal, $short:expr, $scope:ident,
       $status:ident, $columns:expr;)*) => {
        /// Every kind.
        pub(crate) static KINDS: &[Kind] = &[$(Kind {
            group: $group, version: $version, kind: $kind, plural: $plural, short_names: $short,
            scope: Scope::$scope, status: Subresource::$status, columns: $columns,
        }),*];
    };
}

kinds! {
    "", "v1", "Namespace", "namespaces", &["ns"], Cluster, Yes,
        &[column("Status", "/status/phase"), AGE];
    "", "v1", "Node", "nodes", &["no"], Cluster, Yes,
        &[column("Status", "node:status"), AGE];
    "", "v1", "Pod", "pods", &["po"], Namespaced, Yes,
        &[column("Ready", "pod:ready"), column("Status", "pod:status"),
          column("Restarts", "pod:restarts"), AGE, wide("IP", "/status/podIP"),
          wide("Node", "/spec/nodeName")];
    "", "v1", "Service", "services", &["svc"], Namespaced, Yes,
        &[column("Type", "/spec/type"), column("Cluster-IP", "/spec/clusterIP"),
          column("Port(s)", "service:ports"), AGE];
    "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], Namespaced, Yes,
        &[column("Status", "/status/phase"),
          column("Capacity", "/spec/resources/requests/storage"), AGE];
    "", "v1", "ConfigMap", "configmaps", &["cm"], Namespaced, No, &[AGE];
    "", "v1", "Secret", "secrets", &[], Namespaced, No, &[column("Type", "/type"), AGE];
    "", "v1", "Event", "events", &["ev"], Namespaced, No,
        &[column("Type", "/type"), column("Reason", "/reason"),
          column("Object", "event:object"), column("Message", "/message"), AGE];
    "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", &[], Namespaced, No,
        &[column("AddressType", "/addressType"), AGE];
    GATEWAY_GROUP, "v1", "Gateway", "gateways", &["gtw"], Namespaced, Yes,
        &[column("Class", "/spec/gatewayClassName"), column("Address", "/status/addresses/0/value"),
          column("Programmed", "Programmed:status"), AGE];
    GROUP, "v1beta1", "Sandbox", "sandboxes", &["sandbox"], Namespaced, Yes,
        &[column("Ready", "Ready:status"), column("Reason", "Ready:reason"), AGE,
          wide("Pod IP", "/status/podIPs/0"), wide("Node", "/status/nodeName")];
    EXTENSIONS_GROUP, "v1beta1", "SandboxClaim", "sandboxclaims", &["sandboxclaim"], Namespaced, Yes,
        &[column("Ready", "Ready:status"), column("Sandbox", "/status/sandbox/name"),
          column("Reason", "Ready:reason"), AGE];
    EXTENSIONS_GROUP, "v1beta1", "SandboxTemplate", "sandboxtemplates", &["sandboxtemplate"],
        Namespaced, No, &[AGE];
    EXTENSIONS_GROUP, "v1beta1", "SandboxWarmPool", "sandboxwarmpools", &["swp"], Namespaced, Yes,
        &[column("Ready", "/status/readyReplicas"), column("Desired", "/spec/replicas"), AGE];
    snapshot::GROUP, "v1", "PodSnapshot", "podsnapshots", &[], Namespaced, Yes,
        &[column("Ready", "Ready:status"), AGE];
    snapshot::GROUP, "v1", "PodSnapshotManualTrigger", "podsnapshotmanualtriggers", &[],
        Namespaced, Yes, &[column("Pod", "/spec/targetPod"),
          column("Snapshot", "/status/snapshotCreated/name"), AGE];
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
        &["crd", "crds"], Cluster, Yes, &[column("Created At", "/metadata/creationTimestamp")];
}

/// The kind of a name that is written in this crate.
pub(crate) fn kind(name: &str) -> &'static Kind {
    KINDS
        .iter()
        .find(|kind| kind.kind == name)
        .expect("the name is one of the table's")
}

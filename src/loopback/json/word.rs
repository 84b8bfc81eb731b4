//! [`Word`]: a text in a JSON value, the key of a member or a string. What most objects have is kept once for all.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use foldhash::fast::FixedState;

use crate::api::{annotation, label};

/// Keys and strings that most stored objects have.
const FREQUENT: &[&str] = &[
    "",
    "127.0.0.1",
    "Adoption",
    "Always",
    "BestEffort",
    "Bound",
    "ClusterFirst",
    "ClusterIP",
    "ContainerCreating",
    "ContainersNotReady",
    "ContainersReady",
    "Delete",
    "DependenciesNotReady",
    "DependenciesReady",
    "EndpointSlice",
    "Event",
    "False",
    "Finished",
    "IPv4",
    "Initialized",
    "None",
    "Normal",
    "NotSuspended",
    "Pending",
    "PersistentVolumeClaim",
    "Pod does not exist",
    "Pod exists with phase: Pending",
    "Pod exists with phase: Pending; Service Exists",
    "Pod is Ready",
    "Pod is Ready; Service Exists",
    "Pod",
    "PodScheduled",
    "Ready",
    "Retain",
    "Running",
    "Sandbox is not suspended",
    "Sandbox",
    "SandboxAdopted",
    "SandboxClaim",
    "SandboxTemplate",
    "SandboxWarmPool",
    "Service",
    "Suspended",
    "TCP",
    "True",
    "action",
    "additionalPodMetadata",
    "addressType",
    "addresses",
    "agents.x-k8s.io/propagated-annotations",
    "agents.x-k8s.io/propagated-labels",
    "agents.x-k8s.io/v1beta1",
    "annotations",
    "apiVersion",
    "automountServiceAccountToken",
    "blockOwnerDeletion",
    "claimName",
    "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "clusterIP",
    "clusterIPs",
    "cold",
    "component",
    "conditions",
    "containerPort",
    "containerStatuses",
    "containers",
    "controller",
    "count",
    "creationTimestamp",
    "default",
    "default-scheduler",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "discovery.k8s.io/v1",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "endpoints",
    "env",
    "eventTime",
    "exitCode",
    "extensions.agents.x-k8s.io/v1beta1",
    "finalizers",
    "finishedAt",
    "firstTimestamp",
    "generateName",
    "generation",
    "go-client",
    "hostIP",
    "hostIPs",
    "image",
    "imageID",
    "involvedObject",
    "ip",
    "kind",
    "kubernetes.io/service-name",
    "labels",
    "lastProbeTime",
    "lastTimestamp",
    "lastTransitionTime",
    "lifecycle",
    "loopback-node",
    "message",
    "metadata",
    "name",
    "nameservers",
    "namespace",
    "nodeName",
    "observedGeneration",
    "operatingMode",
    "ownerReferences",
    "phase",
    "podIP",
    "podIPs",
    "podTemplate",
    "port",
    "ports",
    "protocol",
    "python-client",
    "qosClass",
    "readinessProbe",
    "ready",
    "readyReplicas",
    "reason",
    "replicas",
    "reportingComponent",
    "reportingInstance",
    "resourceVersion",
    "resources",
    "restartCount",
    "restartPolicy",
    "running",
    "sandbox",
    "sandboxTemplateRef",
    "sandboxclaim-controller",
    "schedulerName",
    "securityContext",
    "selector",
    "service",
    "serviceAccountName",
    "serviceFQDN",
    "serving",
    "shutdownPolicy",
    "shutdownTime",
    "source",
    "spec",
    "startTime",
    "started",
    "startedAt",
    "state",
    "status",
    "targetPort",
    "targetRef",
    "terminated",
    "terminating",
    "terminationGracePeriodSeconds",
    "type",
    "uid",
    "updateStrategy",
    "v1",
    "value",
    "volumeClaimTemplates",
    "volumes",
    "waiting",
    "warm",
    "warmPoolRef",
    annotation::CONTROLLER_OBSERVED_AT,
    annotation::FIRST_READY_AT,
    annotation::POD_NAME,
    annotation::SANDBOX_NAME,
    annotation::TEMPLATE_REF,
    annotation::TRACE_CONTEXT,
    label::CLAIM_UID,
    label::CREATED_BY,
    label::LAUNCH_TYPE,
    label::POD_TEMPLATE_HASH,
    label::SANDBOX_NAME_HASH,
    label::TEMPLATE_HASH,
    label::TEMPLATE_REF_HASH,
    label::WARM_POOL_SANDBOX,
];

/// Where each frequent word stands.
static PLACES: LazyLock<HashMap<&str, u16, FixedState>> = LazyLock::new(|| {
    (0..)
        .zip(FREQUENT)
        .map(|(place, word)| (*word, place))
        .collect()
});

/// The length of the longest frequent word, in bytes: what is longer need not be looked up.
static LONGEST: LazyLock<usize> =
    LazyLock::new(|| FREQUENT.iter().map(|word| word.len()).max().unwrap_or(0));

/// The key of a member, or a string. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Word(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    /// One of [`FREQUENT`], never written out.
    Frequent(u16),
    Other(Arc<str>),
}

impl Word {
    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Form::Frequent(place) => FREQUENT[usize::from(*place)],
            Form::Other(text) => text,
        }
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        let place = (text.len() <= *LONGEST).then(|| PLACES.get(text)).flatten();
        let other = || Form::Other(Arc::from(text));
        Self(place.map_or_else(other, |place| Form::Frequent(*place)))
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Word {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Self> for Word {
    fn from(word: &Self) -> Self {
        word.clone()
    }
}

impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl std::borrow::Borrow<str> for Word {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Word {
    fn eq(&self, other: &str) -> bool {
        let own = self.as_str();
        // A key that is written in the program mostly is the one of the list: nothing is to be compared then.
        std::ptr::eq(own, other) || own == other
    }
}

impl PartialEq<&str> for Word {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), f)
    }
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

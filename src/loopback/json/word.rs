//! [`Word`]: the key of a member. Keys that most objects have are kept once for all.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use foldhash::fast::FixedState;

use crate::api::{annotation, label};

/// Keys that most stored objects have.
const FREQUENT: &[&str] = &[
    "action",
    "additionalPodMetadata",
    "addressType",
    "addresses",
    "agents.x-k8s.io/propagated-annotations",
    "agents.x-k8s.io/propagated-labels",
    "annotations",
    "apiVersion",
    "automountServiceAccountToken",
    "blockOwnerDeletion",
    "claimName",
    "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "clusterIP",
    "clusterIPs",
    "component",
    "conditions",
    "containerPort",
    "containerStatuses",
    "containers",
    "controller",
    "count",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "endpoints",
    "env",
    "eventTime",
    "exitCode",
    "finalizers",
    "finishedAt",
    "firstTimestamp",
    "generateName",
    "generation",
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
    "value",
    "volumeClaimTemplates",
    "volumes",
    "waiting",
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

/// Where each frequent key stands.
static PLACES: LazyLock<HashMap<&str, u16, FixedState>> = LazyLock::new(|| {
    (0..)
        .zip(FREQUENT)
        .map(|(place, key)| (*key, place))
        .collect()
});

/// The key of a member. Cheap to clone.
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
        let form = match PLACES.get(text) {
            Some(place) => Form::Frequent(*place),
            None => Form::Other(Arc::from(text)),
        };
        Self(form)
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
    fn from(field: &Self) -> Self {
        field.clone()
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

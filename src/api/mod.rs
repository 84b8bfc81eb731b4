//! The Agent Sandbox API exactly as on the wire: groups, versions, names, labels, annotations,
//! headers and condition reasons. Shared by the client and the loopback cluster; holds no behaviour.
//!
//! Source: kubernetes-sigs/agent-sandbox custom resource definitions and SDKs, 0.4.6 to 1.0.8.

pub mod claim;
pub mod condition;
pub mod gateway;
pub mod metadata;
pub mod pod;
pub mod runtime;
pub mod sandbox;
#[cfg(any(feature = "client", feature = "loopback"))]
pub mod sandboxd;
pub mod snapshot;
pub mod template;
pub mod warm_pool;

use std::fmt;

/// API group of `Sandbox`.
pub const GROUP: &str = "agents.x-k8s.io";
/// API group of `SandboxClaim`, `SandboxTemplate` and `SandboxWarmPool`.
pub const EXTENSIONS_GROUP: &str = "extensions.agents.x-k8s.io";
/// API group and version of `Gateway`.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// Port of the legacy runtime in every sandbox.
pub const RUNTIME_PORT: u16 = 8888;
/// Port of sandboxd's REST API (files, health, metadata).
pub const SANDBOXD_REST_PORT: u16 = 8080;
/// Port of sandboxd's gRPC API (processes), plaintext HTTP/2.
pub const SANDBOXD_GRPC_PORT: u16 = 9090;
/// Port of the router and of its Service.
pub const ROUTER_PORT: u16 = 8080;
/// Name of the router's Service.
pub const ROUTER_SERVICE: &str = "sandbox-router-svc";
/// Namespace in which SDKs from 0.5 on look for the router.
pub const ROUTER_NAMESPACE: &str = "agent-sandbox-system";

/// A served version of both Agent Sandbox groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApiVersion {
    /// Controllers up to 0.5: claims name a `SandboxTemplate`.
    V1Alpha1,
    /// Controllers from 0.5 on: claims name a `SandboxWarmPool`.
    V1Beta1,
}

impl ApiVersion {
    /// The version as it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1Alpha1 => "v1alpha1",
            Self::V1Beta1 => "v1beta1",
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Plural names as they stand in URLs.
pub mod plural {
    /// `Sandbox`
    pub const SANDBOXES: &str = "sandboxes";
    /// `SandboxClaim`
    pub const CLAIMS: &str = "sandboxclaims";
    /// `SandboxTemplate`
    pub const TEMPLATES: &str = "sandboxtemplates";
    /// `SandboxWarmPool`
    pub const WARM_POOLS: &str = "sandboxwarmpools";
    /// `Gateway`
    pub const GATEWAYS: &str = "gateways";
}

/// Label keys.
pub mod label {
    /// On a claim: which SDK made it.
    pub const CREATED_BY: &str = "agents.x-k8s.io/created-by";
    /// On a Sandbox: `warm` or `cold`.
    pub const LAUNCH_TYPE: &str = "agents.x-k8s.io/launch-type";
    /// On a Pod: hash of its Sandbox's name.
    pub const SANDBOX_NAME_HASH: &str = "agents.x-k8s.io/sandbox-name-hash";
    /// On a pooled Sandbox and its Pod, until it is adopted.
    pub const WARM_POOL_SANDBOX: &str = "agents.x-k8s.io/warm-pool-sandbox";
    /// On a Sandbox, its Pod and its template: hash of the template's name.
    pub const TEMPLATE_REF_HASH: &str = "agents.x-k8s.io/sandbox-template-ref-hash";
    /// On a pooled Sandbox: hash of the template's blueprint.
    pub const TEMPLATE_HASH: &str = "agents.x-k8s.io/sandbox-template-hash";
    /// On a pooled Sandbox: hash of the pod template (deprecated upstream).
    pub const POD_TEMPLATE_HASH: &str = "agents.x-k8s.io/sandbox-pod-template-hash";
    /// On a Sandbox: UID of its claim.
    pub const CLAIM_UID: &str = "agents.x-k8s.io/claim-uid";
    /// On everything that a run of sandbench creates: the run id.
    pub const RUN_ID: &str = "sandbench.dev/run-id";
}

/// Annotation keys.
pub mod annotation {
    /// On a claim: when the client first asked for it (RFC 3339).
    pub const FIRST_REQUESTED_AT: &str = "agents.x-k8s.io/client-first-requested-at";
    /// On a claim: when the controller first saw it (RFC 3339, nanoseconds).
    pub const CONTROLLER_OBSERVED_AT: &str = "agents.x-k8s.io/controller-first-observed-at";
    /// On a claim: when it first became ready (RFC 3339, nanoseconds, or `unknown`).
    pub const FIRST_READY_AT: &str = "agents.x-k8s.io/claim-first-ready-at";
    /// On a claim: name of the adopted Sandbox.
    pub const SANDBOX_NAME: &str = "agents.x-k8s.io/sandbox-name";
    /// On a Sandbox: name of its Pod.
    pub const POD_NAME: &str = "agents.x-k8s.io/pod-name";
    /// On a Sandbox: name of its template.
    pub const TEMPLATE_REF: &str = "agents.x-k8s.io/sandbox-template-ref";
    /// On a claim of a run of sandbench: the time to live that it gets again when it lives longer,
    /// whole seconds (`900s`). A claim without it ends when it says.
    pub const TIME_TO_LIVE: &str = "sandbench.dev/time-to-live";
    /// On a claim and its Sandbox: W3C trace context as a JSON object.
    pub const TRACE_CONTEXT: &str = "opentelemetry.io/trace-context";
}

/// Headers from a client to the router.
pub mod header {
    /// Sandbox name (not the claim's).
    pub const SANDBOX_ID: &str = "x-sandbox-id";
    /// Namespace of the Sandbox.
    pub const SANDBOX_NAMESPACE: &str = "x-sandbox-namespace";
    /// Port of the runtime.
    pub const SANDBOX_PORT: &str = "x-sandbox-port";
    /// Address of the Pod, if known.
    pub const SANDBOX_POD_IP: &str = "x-sandbox-pod-ip";
    /// Seconds that the router may take, as a decimal number.
    pub const SANDBOX_TIMEOUT: &str = "x-sandbox-timeout";
    /// Sixteen hexadecimal digits, the same for every attempt of one call.
    pub const REQUEST_ID: &str = "x-request-id";
    /// The span that a request is a part of. Source: W3C Trace Context.
    pub const TRACEPARENT: &str = "traceparent";
}

/// Reasons of the `Ready` condition after which a claim never becomes ready by itself.
///
/// Source: Python SDK 1.0.8.
pub const TERMINAL_REASONS: [&str; 10] = [
    "TemplateNotFound",
    "WarmPoolNotFound",
    "InvalidMetadata",
    "EnvVarsInjectionRejected",
    "VolumeClaimTemplatesError",
    "ClaimExpired",
    "SandboxExpired",
    "InvalidConfiguration",
    "PodFailed",
    "PodSucceeded",
];

/// The hash that labels carry instead of a name: FNV-1a, 32 bits, eight lower-case hex digits.
pub fn name_hash(name: &str) -> String {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_hashes_equal_upstreams() {
        for (name, hash) in [
            ("a", "e40c292c"),
            ("foobar", "bf9cf968"),
            ("python-sandbox-template", "d274c066"),
            ("sandbox-claim-0a1b2c3d", "a54866bc"),
        ] {
            assert_eq!(name_hash(name), hash);
        }
    }
}

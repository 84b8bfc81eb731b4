//! What a cell is pointed at: the scenario's target over the file's, field by field.

use std::path::PathBuf;
use std::time::Duration;

use super::defaults;
use super::resolve::not_evaluated;
use crate::client::connect::{
    Direct, Gateway, InCluster, InClusterPodIp, Scheme, Tunnel, UnknownMode,
};
use crate::client::{ClaimSource, ConnectionMode, Runtime, SandboxdPorts};
use crate::expr::{Bindings, Secrets, Template};
use crate::scenario::{RuntimeName, Scheme as WrittenScheme, Target};
use crate::source::{Code, Diagnostic, Problems, Span};
use crate::step::{HttpConnections, StepTarget};

/// Two targets, the nearer first.
pub(super) struct Layers<'a> {
    pub(super) scenario: &'a Target,
    pub(super) file: &'a Target,
    /// The command line's word on how long claims live, before both.
    pub(super) time_to_live: Option<Duration>,
}

impl<'a> Layers<'a> {
    fn first<T>(&self, field: impl Fn(&'a Target) -> Option<T>) -> Option<T> {
        field(self.scenario).or_else(|| field(self.file))
    }

    /// The namespace of claims and sandboxes.
    pub(super) fn namespace(&self, bindings: &Bindings, problems: &mut Problems) -> String {
        self.first(|target| target.namespace.as_ref())
            .and_then(|template| render(template, bindings, problems))
            .unwrap_or_else(|| defaults::NAMESPACE.to_owned())
    }

    /// The word of the connection mode: the axis, else the target's.
    pub(super) fn mode_word(&self, axis: Option<&str>) -> Option<String> {
        axis.map(str::to_owned).or_else(|| {
            self.first(|target| target.mode.as_ref())
                .map(|mode| mode.value.to_owned())
        })
    }

    /// The target of the steps.
    pub(super) fn step_target(
        &self,
        (word, place): (&str, Span),
        iteration: Duration,
        bindings: &Bindings,
        problems: &mut Problems,
    ) -> Option<StepTarget> {
        let mode = self.mode((word, place), bindings, problems)?;
        let source = self.source(bindings, problems);
        let ready = self
            .first(|target| target.ready_timeout)
            .unwrap_or(defaults::READY_TIMEOUT);
        Some(StepTarget {
            source,
            mode,
            time_to_live: self
                .time_to_live
                .or_else(|| self.first(|target| target.time_to_live))
                .unwrap_or_else(|| iteration.saturating_add(defaults::TIME_TO_LIVE_MARGIN)),
            ready_timeout: ready,
            directory: PathBuf::new(),
            http: HttpConnections::default(),
            artifacts: None,
            secrets: Secrets::default(),
        })
    }

    fn source(&self, bindings: &Bindings, problems: &mut Problems) -> Option<ClaimSource> {
        let of = |target: &'a Target| match (&target.warm_pool, &target.template) {
            (Some(pool), _) => Some((pool, true)),
            (None, Some(template)) => Some((template, false)),
            (None, None) => None,
        };
        let (template, is_pool) = self.first(of)?;
        let name = render(template, bindings, problems)?;
        Some(if is_pool {
            ClaimSource::WarmPool(name)
        } else {
            ClaimSource::Template(name)
        })
    }

    fn mode(
        &self,
        (word, place): (&str, Span),
        bindings: &Bindings,
        problems: &mut Problems,
    ) -> Option<ConnectionMode> {
        let port = self
            .first(|target| target.server_port.as_ref())
            .map_or(defaults::SERVER_PORT, |port| port.value);
        let mut mode: ConnectionMode = match word.parse() {
            Ok(mode) => mode,
            Err(error) => {
                let error: UnknownMode = error;
                problems.push(Diagnostic::error(Code::BadValue, place, error.to_string()));
                return None;
            }
        };
        match &mut mode {
            ConnectionMode::Gateway(settings) => {
                self.gateway(settings, bindings, problems);
                settings.server_port = port;
            }
            ConnectionMode::Tunnel(Tunnel {
                router_namespace,
                server_port,
                ..
            }) => {
                let written = self.first(|target| target.router.as_ref()?.namespace.as_ref());
                if let Some(name) = written.and_then(|name| render(name, bindings, problems)) {
                    *router_namespace = name;
                }
                *server_port = port;
            }
            ConnectionMode::InCluster(InCluster {
                server_port,
                runtime,
                ..
            })
            | ConnectionMode::InClusterPodIp(InClusterPodIp {
                server_port,
                runtime,
            }) => {
                *server_port = port;
                *runtime = match self.runtime() {
                    Some(RuntimeName::Sandboxd) => Runtime::Sandboxd(SandboxdPorts::default()),
                    Some(RuntimeName::Legacy) | None => Runtime::Legacy,
                };
            }
            ConnectionMode::PodTunnel(_) => {}
            ConnectionMode::Direct(Direct {
                url, server_port, ..
            }) => {
                let written = self.first(|target| target.api_url.as_ref());
                if let Some(text) = written.and_then(|text| render(text, bindings, problems)) {
                    *url = text;
                }
                *server_port = port;
            }
        }
        self.fits(&mode, problems);
        Some(mode)
    }

    fn runtime(&self) -> Option<RuntimeName> {
        self.first(|target| target.runtime)
            .map(|runtime| runtime.value)
    }

    /// A router leads only to the legacy runtime, a tunnel to the Pod only to sandboxd.
    fn fits(&self, mode: &ConnectionMode, problems: &mut Problems) {
        let Some(written) = self.first(|target| target.runtime) else {
            return;
        };
        let reaches = match mode.runtime() {
            Runtime::Legacy => RuntimeName::Legacy,
            Runtime::Sandboxd(_) => RuntimeName::Sandboxd,
        };
        if reaches == written.value {
            return;
        }
        let (word, other) = match reaches {
            RuntimeName::Legacy => (
                "legacy",
                "`in-cluster`, `in-cluster-pod-ip` or `pod-tunnel`",
            ),
            RuntimeName::Sandboxd => ("sandboxd", "another mode"),
        };
        problems.push(
            Diagnostic::error(
                Code::Combination,
                written.span,
                format!("the mode `{mode}` leads only to the runtime `{word}`"),
            )
            .label("this is another one")
            .help(format!("take {other} for this runtime")),
        );
    }

    fn gateway(&self, settings: &mut Gateway, bindings: &Bindings, problems: &mut Problems) {
        let Some(written) = self.first(|target| target.gateway.as_ref()) else {
            return;
        };
        if let Some(name) = written
            .name
            .as_ref()
            .and_then(|name| render(name, bindings, problems))
        {
            settings.name = name;
        }
        settings.namespace = written
            .namespace
            .as_ref()
            .and_then(|name| render(name, bindings, problems))
            .unwrap_or_else(|| self.namespace(bindings, problems));
        settings.port = written.port;
        settings.scheme = written.scheme.map(|scheme| match scheme {
            WrittenScheme::Http => Scheme::Http,
            WrittenScheme::Https => Scheme::Https,
        });
    }
}

fn render(template: &Template, bindings: &Bindings, problems: &mut Problems) -> Option<String> {
    match template.render(bindings) {
        Ok(text) => Some(text.to_string()),
        Err(error) => {
            problems.push(not_evaluated(&error));
            None
        }
    }
}

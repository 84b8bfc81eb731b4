//! A loopback cluster in the test's own process, with a pool to take sandboxes from.

use std::path::PathBuf;

use kube::api::{Api, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use sandbench::client::{Client, ClientBuilder, Dns};
use sandbench::loopback::{Cluster, ClusterConfig};
use serde_json::{Value, json};

use crate::program::Place;

/// A running cluster and a client for its API.
pub struct Running {
    pub cluster: Cluster,
    pub kube: kube::Client,
    pub kubeconfig: PathBuf,
}

impl Running {
    /// Starts a cluster and writes its kubeconfig into the place.
    pub async fn start(place: &Place) -> Self {
        Self::start_with(place, ClusterConfig::default()).await
    }

    pub async fn start_with(place: &Place, config: ClusterConfig) -> Self {
        let cluster = Cluster::start(config).await.unwrap();
        let kubeconfig = place.file("kubeconfig", &cluster.kubeconfig());
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let config = kube::Config::from_custom_kubeconfig(
            Kubeconfig::from_yaml(&cluster.kubeconfig()).unwrap(),
            &KubeConfigOptions::default(),
        )
        .await
        .unwrap();
        let kube = kube::Client::try_from(config).unwrap();
        Self {
            cluster,
            kube,
            kubeconfig,
        }
    }

    pub fn api(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(group, version, kind);
        Api::default_namespaced_with(self.kube.clone(), &ApiResource::from_gvk(&gvk))
    }

    /// Objects of a kind of the core group.
    pub fn core(&self, kind: &str) -> Api<DynamicObject> {
        self.api("", "v1", kind)
    }

    pub async fn create(&self, kind: &str, name: &str, spec: Value) {
        self.create_in("v1beta1", kind, name, spec).await;
    }

    async fn create_in(&self, version: &str, kind: &str, name: &str, spec: Value) {
        let group = "extensions.agents.x-k8s.io";
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let object =
            DynamicObject::new(name, &ApiResource::from_gvk(&gvk)).data(json!({ "spec": spec }));
        self.api(group, version, kind)
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    /// A template whose pods have these annotations, and a pool of it.
    pub async fn pool(&self, name: &str, replicas: u32, annotations: Value) {
        self.pool_in("v1beta1", name, replicas, annotations).await;
    }

    /// The same, written in this version of the API.
    pub async fn pool_in(&self, version: &str, name: &str, replicas: u32, annotations: Value) {
        let template = format!("{name}-template");
        let pod = json!({ "metadata": { "annotations": annotations }, "spec": { "containers": [
            { "name": "c", "image": "i", "ports": [{ "containerPort": 8888 }] }] } });
        let spec = json!({ "podTemplate": pod });
        self.create_in(version, "SandboxTemplate", &template, spec)
            .await;
        let spec = json!({ "replicas": replicas, "sandboxTemplateRef": { "name": template } });
        self.create_in(version, "SandboxWarmPool", name, spec).await;
    }
}

/// A client of the cluster, with its name server.
pub async fn client_of(
    running: &Running,
    settings: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Client {
    let builder = builder_of(running).await;
    settings(builder).build().await.unwrap()
}

/// Settings for a client of the cluster, with its name server.
pub async fn builder_of(running: &Running) -> ClientBuilder {
    let kubeconfig = Kubeconfig::from_yaml(&running.cluster.kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options);
    Client::builder()
        .kubernetes(config.await.unwrap())
        .dns(Dns::Server(running.cluster.dns_server()))
}

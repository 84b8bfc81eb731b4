//! What changes under the client: the address of a Gateway, of a Pod after a resumption, and the program
//! that uses a claim.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use sandbench::client::connect::{Gateway, InClusterPodIp};
use sandbench::client::{
    CallError, CallOptions, ClaimSource, Client, ConnectError, ConnectionMode, CreateRequest,
    ReadyClaim, RetryPolicy,
};
use serde_json::json;

use crate::cluster::{Running, client_of};
use crate::program::Place;

async fn ready(client: &Client) -> ReadyClaim {
    let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
    let claim = client.create(request).await.unwrap();
    claim.wait_ready(Duration::from_secs(20)).await.unwrap()
}

fn gateways(running: &Running) -> kube::Api<DynamicObject> {
    running.api("gateway.networking.k8s.io", "v1", "Gateway")
}

/// Gives a Gateway another address.
pub async fn move_gateway(running: &Running, name: &str) {
    let found = gateways(running).get(name).await.unwrap();
    let before = found.data.pointer("/status/addresses/0/value");
    let before = before.and_then(|value| value.as_str()).unwrap();
    remove(running, name).await;
    // Others take addresses until one has this, so that it cannot be the same again.
    let mut heirs = Vec::new();
    loop {
        heirs.push(format!("heir-{}", heirs.len()));
        let address = gateway(running, heirs.last().unwrap()).await;
        if address == before {
            break;
        }
        assert!(heirs.len() < 10, "nobody gets {before}");
    }
    assert_ne!(before, gateway(running, name).await);
    for heir in heirs {
        remove(running, &heir).await;
    }
}

/// Makes a Gateway and returns its address.
pub async fn gateway(running: &Running, name: &str) -> String {
    let gvk = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway");
    let spec = json!({ "spec": { "gatewayClassName": "loopback", "listeners": [
        { "name": "http", "port": 80, "protocol": "HTTP" }] } });
    let object = DynamicObject::new(name, &ApiResource::from_gvk(&gvk)).data(spec);
    let api = gateways(running);
    api.create(&PostParams::default(), &object).await.unwrap();
    loop {
        let seen = api.get(name).await.unwrap();
        let address = seen.data.pointer("/status/addresses/0/value");
        if let Some(address) = address.and_then(|value| value.as_str()) {
            return address.to_owned();
        }
    }
}

async fn remove(running: &Running, name: &str) {
    let api = gateways(running);
    api.delete(name, &DeleteParams::default()).await.unwrap();
    while api.get_opt(name).await.unwrap().is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_outlives_its_program_and_another_one_attaches_to_it() {
    // T2 of the Python SDK's checks.
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 1, json!({})).await;
    let mode = ConnectionMode::InClusterPodIp(InClusterPodIp::default());
    let first = client_of(&running, |builder| builder).await;
    let claim = ready(&first).await;
    let sandbox = first.connect(&claim, &mode).await.unwrap();
    sandbox.files().write("a", "x").await.unwrap();
    first.close().await;

    let second = client_of(&running, |builder| builder).await;
    let attached = second.claim(&claim.claim_name).await.unwrap();
    assert_eq!(attached.uid(), claim.claim_uid);
    let found = attached.wait_ready(Duration::from_secs(20)).await.unwrap();
    assert_eq!(found.sandbox_name, claim.sandbox_name);
    let sandbox = second.connect(&found, &mode).await.unwrap();
    assert_eq!(sandbox.files().read("a").await.unwrap(), "x");
    let limit = Duration::from_secs(20);
    let name = attached.name();
    second
        .delete_and_wait(name, Some(attached.uid()), limit)
        .await
        .unwrap();
    second.close().await;
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_new_address_is_found_again() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 2, json!({})).await;
    gateway(&running, "main").await;
    let client = client_of(&running, |builder| builder).await;
    let mode = ConnectionMode::Gateway(Gateway {
        name: "main".to_owned(),
        ..Gateway::default()
    });
    let claim = ready(&client).await;
    let sandbox = client.connect(&claim, &mode).await.unwrap();
    sandbox.commands().run("true").await.unwrap();

    move_gateway(&running, "main").await;

    // The connection that was open has ended, and nobody listens there: one call fails, unless
    // attempts are allowed, and the next one goes to the new address.
    let lost = sandbox.files().exists("a").await.unwrap_err();
    let expected = matches!(
        lost,
        CallError::Connect { .. } | CallError::Transport { .. }
    );
    assert!(expected, "{lost}");
    let patient = sandbox.with(CallOptions {
        retry: Some(RetryPolicy::default()),
        ..CallOptions::default()
    });
    assert!(!patient.files().exists("a").await.unwrap());
    sandbox.commands().run("true").await.unwrap();
    // So do new handles of the same client.
    let again = client.connect(&claim, &mode).await.unwrap();
    again.commands().run("true").await.unwrap();

    client.close().await;
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_handle_finds_a_gateway_that_has_moved() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 1, json!({})).await;
    gateway(&running, "main").await;
    let client = client_of(&running, |builder| builder).await;
    let mode = ConnectionMode::Gateway(Gateway {
        name: "main".to_owned(),
        ..Gateway::default()
    });
    let claim = ready(&client).await;
    let first = client.connect(&claim, &mode).await.unwrap();
    first.disconnect().await;

    move_gateway(&running, "main").await;

    let sandbox = client.connect(&claim, &mode).await.unwrap();
    sandbox.commands().run("true").await.unwrap();
    client.close().await;
    assert!(running.cluster.shutdown().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_with_a_new_address_after_a_resumption_is_found_again() {
    let place = Place::new();
    let running = Running::start(&place).await;
    running.pool("p", 1, json!({})).await;
    let client = client_of(&running, |builder| builder).await;
    let claim = ready(&client).await;
    let mode = ConnectionMode::InClusterPodIp(InClusterPodIp::default());
    let sandbox = client.connect(&claim, &mode).await.unwrap();
    sandbox.commands().run("true").await.unwrap();

    let limit = Duration::from_secs(20);
    client.suspend(&claim, limit).await.unwrap();
    // Other pods take the address, and must not get the calls.
    ready(&client).await;
    ready(&client).await;
    let suspended = sandbox.files().write("a", "x").await.unwrap_err();
    let no_address = matches!(&suspended, CallError::Connect { source, .. }
        if matches!(**source, ConnectError::NoPodIp { .. }));
    assert!(no_address, "{suspended}");
    let resumed = client.resume(&claim, limit).await.unwrap();
    assert_ne!(resumed.pod_ips, claim.pod_ips);

    // Without a single repetition, and in the right pod.
    sandbox.files().write("a", "x").await.unwrap();
    let direct = client.connect(&resumed, &mode).await.unwrap();
    assert_eq!(direct.files().read("a").await.unwrap(), "x");
    assert_eq!(client.attempts().repeated, 0);
    client.close().await;
    assert!(running.cluster.shutdown().await.is_empty());
}

//! The whole cluster: claims to calls through every door, faults, and an end that leaves nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::super::controller::condition;
use super::super::json::{Value, json};
use super::super::services;
use super::super::store::Object;
use super::super::testing::{World, call, execute, get};
use super::*;

fn routed(mut request: Request<Full<Bytes>>, sandbox: &str) -> Request<Full<Bytes>> {
    request
        .headers_mut()
        .insert("x-sandbox-id", sandbox.parse().unwrap());
    request
}

async fn ready_claim(world: &World, name: &str, fields: &Value) -> Arc<Object> {
    world.template("with-service", &json!({}), fields);
    world.pool("pool", "with-service", 0);
    world.claim(name, "pool", &json!({}));
    world.until_ready("SandboxClaim", name).await
}

const HI: &str = r#"{"stdout":"hi\n","stderr":"","exit_code":0}"#;

#[tokio::test]
async fn a_command_reaches_its_pod_through_every_door() {
    let world = World::start().await;
    let claim = ready_claim(&world, "c1", &json!({ "service": true })).await;
    let ip: IpAddr = claim.value["status"]["sandbox"]["podIPs"][0]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let direct = call(SocketAddr::new(ip, 8888), execute("echo hi"))
        .await
        .unwrap();
    assert_eq!(direct.text(), HI);
    let router = world.cluster.router();
    let by_name = call(router, routed(execute("echo hi"), "c1"))
        .await
        .unwrap();
    assert_eq!(by_name.text(), HI);
    let mut by_ip = routed(execute("echo hi"), "c1");
    by_ip
        .headers_mut()
        .insert("x-sandbox-pod-ip", ip.to_string().parse().unwrap());
    assert_eq!(call(router, by_ip).await.unwrap().text(), HI);
    let named = services::addresses(&world.store, "default", "c1").unwrap();
    assert_eq!(named, [ip]);
    let named = services::addresses(&world.store, "default", "sandbox-router-svc").unwrap();
    assert_eq!(named, [router.ip()]);
    assert_eq!(services::addresses(&world.store, "default", "nosuch"), None);

    let spec = json!({ "gatewayClassName": "loopback",
        "listeners": [{ "name": "http", "port": 8081, "protocol": "HTTP" }] });
    world.create(
        "Gateway",
        json!({ "metadata": { "name": "gw" }, "spec": spec }),
    );
    let programmed = |v: Option<&Value>| {
        v.is_some_and(|v| {
            controller::is_true(v, "Programmed") && controller::is_true(v, "Accepted")
        })
    };
    let gateway = world.until("Gateway", "gw", programmed).await.unwrap();
    let address = gateway.value["status"]["addresses"][0]["value"]
        .as_str()
        .unwrap();
    let address = SocketAddr::new(address.parse().unwrap(), 8081);
    let answer = call(address, routed(execute("echo hi"), "c1"))
        .await
        .unwrap();
    assert_eq!(answer.text(), HI);
    world.delete("Gateway", "gw");
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_gateway_whose_port_is_taken_says_so() {
    let world = World::start().await;
    let IpAddr::V4(router) = world.cluster.router().ip() else {
        unreachable!("the router has a loopback address")
    };
    let [a, b, c, _] = router.octets();
    let taken = TcpListener::bind(SocketAddr::from(([a, b, c, 20], 8082)))
        .await
        .unwrap();
    for (name, listeners, part) in [
        (
            "taken",
            json!([{ "name": "http", "port": 8082, "protocol": "HTTP" }]),
            "Address already in use",
        ),
        (
            "none",
            json!([{ "name": "tls", "port": 443, "protocol": "HTTPS" }]),
            "no listener has the protocol HTTP",
        ),
    ] {
        let spec = json!({ "gatewayClassName": "loopback", "listeners": listeners });
        world.create(
            "Gateway",
            json!({ "metadata": { "name": name }, "spec": spec }),
        );
        let told = |v: Option<&Value>| v.is_some_and(|v| condition(v, "Programmed").is_some());
        let gateway = world.until("Gateway", name, told).await.unwrap();
        let programmed = condition(&gateway.value, "Programmed").unwrap();
        assert_eq!(programmed["status"], "False");
        let message = programmed["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
        assert!(gateway.value["status"]["addresses"].is_null());
    }
    drop(taken);
    world.end().await;
}

#[tokio::test]
async fn calls_in_flight_fail_when_the_router_stops_and_work_when_it_is_back() {
    let world = World::start().await;
    ready_claim(&world, "c1", &json!({})).await;
    let router = world.cluster.router();
    let directory = |name: &str| {
        let uid = world.get("Pod", name).unwrap().uid().to_owned();
        world.cluster.archive.pod(&uid)
    };
    let started = directory("c1").join("started");
    let in_flight = call(
        router,
        routed(execute("sh -c 'touch started; sleep 60'"), "c1"),
    );
    let stopping = async {
        while !started.exists() {
            tokio::task::yield_now().await;
        }
        world.cluster.stop_router().await;
    };
    let (broken, ()) = tokio::join!(in_flight, stopping);
    assert!(broken.is_err(), "{broken:?}");
    assert!(call(router, get("/healthz")).await.is_err());
    world.cluster.stop_router().await;
    world.cluster.start_router().await.unwrap();
    let back = call(router, routed(execute("echo hi"), "c1"))
        .await
        .unwrap();
    assert_eq!(back.text(), HI);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_during_commands_leaves_no_process_directory_or_socket() {
    // ports of its own: a parallel test may take this cluster's addresses as soon as they are free
    let config = ClusterConfig {
        api_port: 16443,
        router_port: 18080,
        dns_port: 15353,
        runtime_port: 18888,
        ..ClusterConfig::default()
    };
    let world = World::start_with(config).await;
    world.pool("pool", "python", 5);
    world.pool_is_ready("pool", 5).await;
    for i in 0..5 {
        world.claim(&format!("c{i}"), "pool", &json!({}));
    }
    let router = world.cluster.router();
    let mut calls = JoinSet::new();
    let mut sockets = vec![world.cluster.api_server(), router];
    for i in 0..5 {
        let claim = world.until_ready("SandboxClaim", &format!("c{i}")).await;
        let sandbox = claim.value["status"]["sandbox"]["name"]
            .as_str()
            .unwrap()
            .to_owned();
        let ip: IpAddr = claim.value["status"]["sandbox"]["podIPs"][0]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        sockets.push(SocketAddr::new(ip, 18888));
        let stubborn = "sh -c \"trap '' TERM; setsid sleep 61 & sleep 62\"";
        let mut request = routed(execute(stubborn), &sandbox);
        let port = "18888".parse().unwrap();
        request.headers_mut().insert("x-sandbox-port", port);
        calls.spawn(call(router, request));
    }
    while world.cluster.leftovers().processes < 5 {
        tokio::task::yield_now().await;
    }
    let there = world.cluster.leftovers();
    assert_eq!(
        (there.claims, there.directories >= 5, there.pods >= 5),
        (5, true, true)
    );
    let directory = world.cluster.directory.as_ref().unwrap().path().to_owned();
    let dns = world.cluster.dns_server();
    world.end().await;
    while let Some(ended) = calls.join_next().await {
        // Cut off, or told that the pod or its command was ended; never that it went well.
        if let Ok(reply) = ended.unwrap() {
            assert!(!reply.text().contains("\"exit_code\":0"), "{reply:?}");
        }
    }
    assert!(!directory.exists());
    assert_eq!(runtime::sweep(&directory), 0);
    for socket in sockets {
        assert!(TcpStream::connect(socket).await.is_err(), "{socket}");
        TcpListener::bind(socket)
            .await
            .expect("the port is free again");
    }
    UdpSocket::bind(dns).await.expect("the port is free again");
}

#[tokio::test]
async fn a_pod_in_the_middle_of_its_start_is_ended_too() {
    let config = ClusterConfig {
        delays: super::super::config::Delays {
            pod_start: "60s".parse().unwrap(),
            ..Default::default()
        },
        ..ClusterConfig::default()
    };
    let world = World::start_with(config).await;
    world.pool("pool", "python", 3);
    world.claim("c1", "pool", &json!({}));
    let pending = |v: Option<&Value>| v.is_some_and(|v| v["status"]["replicas"] == 3);
    world.until("SandboxWarmPool", "pool", pending).await;
    let pod = world.names("Sandbox").remove(0);
    let bound = |v: Option<&Value>| v.is_some_and(|v| v["status"]["phase"] == "Pending");
    world.until("Pod", &pod, bound).await;
    world.delete("Sandbox", &pod);
    world.until_gone("Pod", &pod).await;
    world.end().await;
}

#[tokio::test]
async fn a_dropped_cluster_closes_its_sockets() {
    let world = World::start().await;
    let sockets = [world.cluster.api_server(), world.cluster.router()];
    drop(world);
    for socket in sockets {
        let closed = async {
            while TcpStream::connect(socket).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), closed)
            .await
            .expect("it is closed");
    }
}

#[tokio::test]
async fn the_kubeconfig_names_the_server_its_authority_and_the_token() {
    let world = World::start().await;
    let text = world.cluster.kubeconfig();
    assert!(text.contains(&format!("server: https://{}", world.cluster.api_server())));
    assert!(text.contains("current-context: loopback\n") && text.contains("namespace: default\n"));
    assert!(text.contains("certificate-authority-data: LS0tLS1CRUdJTi"));
    let another = World::start().await;
    assert_ne!(text, another.cluster.kubeconfig());
    assert!(
        !another
            .cluster
            .kubeconfig()
            .contains(world.cluster.token.reveal())
    );
    another.end().await;
    world.end().await;
}

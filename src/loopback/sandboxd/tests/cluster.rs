//! A claimed sandbox whose template asks for sandboxd.

use std::net::{IpAddr, SocketAddr};

use http::Method;
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

use super::super::super::json::{Value, json};
use super::super::super::services;
use super::super::super::testing::{World, call, get, request};
use super::shell;
use crate::api::sandboxd::{StartRequest, StartResponse, method};

#[tokio::test]
async fn a_claim_on_a_template_with_sandboxds_ports_gets_a_sandbox_that_runs_it() {
    let world = World::start().await;
    let ports = json!([{ "containerPort": 8080, "name": "rest" }, { "containerPort": 9090 }]);
    let container = json!({ "name": "main", "image": "python", "ports": ports,
        "env": [{ "name": "SANDBOX_COLOR", "value": "red" }] });
    let fields = json!({ "service": true,
        "podTemplate": { "spec": { "containers": [container] } } });
    world.template("sandboxd-template", &json!({}), &fields);
    world.pool("sandboxd-pool", "sandboxd-template", 1);
    world.pool_is_ready("sandboxd-pool", 1).await;
    world.claim("c1", "sandboxd-pool", &json!({}));
    let claim = world.until_ready("SandboxClaim", "c1").await;
    let sandbox = &claim.value["status"]["sandbox"];
    let name = sandbox["name"].as_str().unwrap().to_owned();
    let ip: IpAddr = sandbox["podIPs"][0].as_str().unwrap().parse().unwrap();
    let (rest, grpc) = (SocketAddr::new(ip, 8080), SocketAddr::new(ip, 9090));

    let numbers = |ports: &Value| -> Vec<u64> {
        let ports = ports.as_array().unwrap().iter();
        ports.map(|port| port["port"].as_u64().unwrap()).collect()
    };
    let service = world.get("Service", &name).unwrap();
    assert_eq!(numbers(&service.value["spec"]["ports"]), [8080, 9090]);
    let slice = format!("{name}-loopback");
    let filled = |slice: Option<&Value>| {
        slice.is_some_and(|slice| slice["endpoints"][0]["addresses"][0] == json!(ip))
    };
    let slice = world.until("EndpointSlice", &slice, filled).await.unwrap();
    assert_eq!(numbers(&slice.value["ports"]), [8080, 9090]);
    let named = services::addresses(&world.store, "default", &name).unwrap();
    assert_eq!(named, [ip]);

    assert!(TcpStream::connect(SocketAddr::new(ip, 8888)).await.is_err());
    let metadata = call(rest, get("/v1/metadata")).await.unwrap();
    assert_eq!(metadata.text(), "{\"env\":{\"SANDBOX_COLOR\":\"red\"}}\n");
    let put = request(Method::PUT, "/v1/files/f", "x");
    assert_eq!(call(rest, put).await.unwrap().status.as_u16(), 204);
    let channel = Endpoint::from_shared(format!("http://{grpc}")).unwrap();
    let mut client = Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    let codec = ProstCodec::<StartRequest, StartResponse>::default();
    let start = StartRequest {
        config: Some(shell("trap '' TERM; cat f; sleep 82 & sleep 81")),
        pty: None,
    };
    let path = http::uri::PathAndQuery::from_static(method::START);
    let events = client.server_streaming(tonic::Request::new(start), path, codec);
    let mut events = events.await.unwrap().into_inner();
    super::until_running(&mut events, "x").await;
    let there = world.cluster.leftovers();
    assert_eq!(there.processes, 1);

    world.delete("SandboxClaim", "c1");
    world.until_gone("Pod", &name).await;
    assert!(TcpStream::connect(rest).await.is_err());
    assert!(TcpStream::connect(grpc).await.is_err());
    while let Ok(Some(_)) = events.message().await {}
    world.end().await;
}

#[tokio::test]
async fn a_pod_with_a_container_for_each_runs_both() {
    let world = World::start().await;
    let containers = json!([
        { "name": "main", "image": "python", "ports": [{ "containerPort": 8888 }] },
        { "name": "sandboxd", "image": "sandboxd", "ports": [{ "containerPort": 9090 }] },
    ]);
    let fields = json!({ "podTemplate": { "spec": { "containers": containers } } });
    world.template("both", &json!({}), &fields);
    world.pool("pool", "both", 0);
    world.claim("c1", "pool", &json!({}));
    let claim = world.until_ready("SandboxClaim", "c1").await;
    let ip = &claim.value["status"]["sandbox"]["podIPs"][0];
    let ip: IpAddr = ip.as_str().unwrap().parse().unwrap();
    for (port, path) in [(8888, "/"), (8080, "/v1/health")] {
        let reply = call(SocketAddr::new(ip, port), get(path)).await.unwrap();
        assert_eq!(reply.status.as_u16(), 200);
    }
    assert!(TcpStream::connect(SocketAddr::new(ip, 9090)).await.is_ok());
    world.end().await;
}

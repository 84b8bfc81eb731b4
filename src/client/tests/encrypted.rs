//! TLS to the API server: a trusted certificate works, any other is named as the problem.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::client::{ApiVersion, BuildError, Client};

/// An API server that only knows discovery, behind TLS.
async fn server() -> (String, Vec<u8>, JoinSet<()>) {
    let names = vec!["127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("made");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer(acceptor.clone(), stream));
        }
    });
    (url, cert.der().to_vec(), tasks)
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let body = r#"{"versions":[{"version":"v1alpha1"}]}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut buffer = [0; 4096];
    while stream
        .read(&mut buffer)
        .await
        .is_ok_and(|length| length > 0)
    {
        stream.write_all(answer.as_bytes()).await.expect("written");
    }
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted() {
    let (url, certificate, _tasks) = server().await;
    let mut config = kube::Config::new(url.parse().expect("a URL"));
    config.root_cert = Some(vec![certificate]);
    let client = Client::builder()
        .kubernetes(config)
        .build()
        .await
        .expect("trusted");
    assert_eq!(client.api_version(), ApiVersion::V1Alpha1);
    client.close().await;
    assert_eq!(client.open_connections(), 0);
}

#[tokio::test]
async fn an_untrusted_certificate_is_named_as_the_problem() {
    let (url, _, _tasks) = server().await;
    let (_, other, _others) = server().await;
    let mut config = kube::Config::new(url.parse().expect("a URL"));
    config.root_cert = Some(vec![other]);
    let error = Client::builder()
        .kubernetes(config)
        .build()
        .await
        .expect_err("untrusted");
    assert!(
        matches!(error, BuildError::UntrustedCertificate { .. }),
        "{error:?}"
    );
    assert!(
        error
            .help()
            .is_some_and(|help| help.contains("certificate-authority-data"))
    );
}

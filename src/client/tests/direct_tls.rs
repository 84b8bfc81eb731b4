//! The mode `direct` over TLS: given authorities, certificates of the client, headers and tokens.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::calls::{api_server, ready_claim};
use super::fake::{Fake, client, ok};
use crate::client::connect::{
    self, ClientCertificate, ConnectionMode, ExtraHeaders, PodIpHeader, TlsSettings,
};
use crate::client::{CallError, CallOptions, Client, ConnectError, Sandbox};

/// An authority that signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("signed"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for a name or address, and its key.
    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        (certificate, key)
    }

    fn identity(&self) -> ClientCertificate {
        let (certificate, key) = self.sign("client");
        ClientCertificate {
            certificates: certificate.pem(),
            key: key.serialize_pem().into(),
        }
    }
}

/// TLS in front of a router; asks for certificates of an authority if there is one.
async fn encrypted(
    router: &Fake,
    authority: &Authority,
    clients: Option<&Authority>,
) -> (String, JoinSet<()>) {
    let (certificate, key) = authority.sign("127.0.0.1");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let config = builder
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("https://{}/pre", listener.local_addr().expect("bound"));
    let target = router.address;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut plain = TcpStream::connect(target).await.expect("connected");
                // How the connection ends is told by what the client sees.
                drop(tokio::io::copy_bidirectional(&mut stream, &mut plain).await);
            });
        }
    });
    (url, tasks)
}

async fn router() -> Fake {
    Fake::start(|_| ok(&json!({"exists": true}))).await
}

/// A sandbox, and what it needs to live.
async fn connect(mode: connect::Direct) -> Result<(Sandbox, (Client, Fake)), ConnectError> {
    let api = api_server().await;
    let client = client(api.address).await;
    let mode = ConnectionMode::Direct(mode);
    let sandbox = client.connect(&ready_claim(), &mode).await?;
    Ok((sandbox, (client, api)))
}

#[tokio::test]
async fn a_given_authority_is_trusted_and_the_path_is_kept() {
    let (router, authority) = (router().await, Authority::new());
    let (url, _tasks) = encrypted(&router, &authority, None).await;
    let tls = TlsSettings {
        authorities: Some(authority.pem()),
        identity: None,
    };
    let mode = connect::Direct {
        url,
        tls,
        ..connect::Direct::default()
    };
    let (sandbox, _api) = connect(mode).await.expect("trusted");
    assert!(sandbox.files().exists("a").await.expect("answered"));
    assert_eq!(router.requests()[0].target, "/pre/exists/a");
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let (router, authority) = (router().await, Authority::new());
    let (url, _tasks) = encrypted(&router, &authority, None).await;
    let tls = TlsSettings {
        authorities: Some(Authority::new().pem()),
        identity: None,
    };
    let mode = connect::Direct {
        url,
        tls,
        ..connect::Direct::default()
    };
    let error = connect(mode).await.expect_err("not trusted");
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_the_one_of_the_client() {
    let (router, authority, clients) = (router().await, Authority::new(), Authority::new());
    let (url, _tasks) = encrypted(&router, &authority, Some(&clients)).await;
    let mut mode = connect::Direct {
        url,
        ..connect::Direct::default()
    };
    mode.tls.authorities = Some(authority.pem());
    mode.tls.identity = Some(clients.identity());
    let (sandbox, _api) = connect(mode.clone()).await.expect("known");
    assert!(sandbox.files().exists("a").await.expect("answered"));

    mode.tls.identity = None;
    // TLS 1.3 lets the client finish before the server has looked at its certificate.
    let refused = match connect(mode).await {
        Err(_) => true,
        Ok((sandbox, _api)) => sandbox.files().exists("a").await.is_err(),
    };
    assert!(refused, "without a certificate nobody is let in");
    assert_eq!(router.requests().len(), 1);
}

#[tokio::test]
async fn tls_settings_that_are_not_valid_are_named_and_secrets_are_not() {
    let authority = Authority::new();
    let identity = ClientCertificate {
        key: "s3cret".into(),
        ..authority.identity()
    };
    for (tls, setting) in [
        (
            TlsSettings {
                authorities: Some("nothing".to_owned()),
                identity: None,
            },
            "certificate of the authority",
        ),
        (
            TlsSettings {
                authorities: Some(authority.pem()),
                identity: Some(identity),
            },
            "private key of the client",
        ),
    ] {
        let mode = connect::Direct {
            url: "https://127.0.0.1:9".to_owned(),
            tls,
            ..connect::Direct::default()
        };
        assert!(!format!("{mode:?}").contains("s3cret"));
        let error = connect(mode).await.expect_err("not valid");
        assert!(error.to_string().contains(setting), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn an_authority_for_a_url_without_tls_is_refused() {
    let mode = connect::Direct {
        url: "http://127.0.0.1:9".to_owned(),
        tls: TlsSettings {
            authorities: Some(Authority::new().pem()),
            identity: None,
        },
        ..connect::Direct::default()
    };
    let error = connect(mode).await.expect_err("not https");
    assert!(
        matches!(error, ConnectError::TlsWithoutHttps { .. }),
        "{error:?}"
    );
    assert!(error.help().is_some());
}

#[tokio::test]
async fn headers_of_the_call_replace_those_of_the_way_but_not_the_routers() {
    let router = router().await;
    let headers = ExtraHeaders::default()
        .with("x-team", "blue")
        .and_then(|headers| headers.with("x-tier", "gold"))
        .expect("valid");
    let mode = connect::Direct {
        url: router.url(),
        headers,
        bearer_token: Some("s3cret".into()),
        pod_ip_header: PodIpHeader::Omit,
        ..connect::Direct::default()
    };
    assert!(!format!("{mode:?}").contains("s3cret"), "{mode:?}");
    let (sandbox, _api) = connect(mode).await.expect("connected");
    sandbox.files().exists("a").await.expect("answered");
    let options = CallOptions {
        headers: ExtraHeaders::default()
            .with("X-Team", "red")
            .expect("valid"),
        ..CallOptions::default()
    };
    let other = sandbox.with(options);
    other.files().exists("b").await.expect("answered");
    let [first, second] = router.requests().try_into().expect("two requests");
    assert_eq!(first.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(first.header("x-team"), Some("blue"));
    assert_eq!(second.header("x-team"), Some("red"));
    assert_eq!(second.header("x-tier"), Some("gold"));
    for request in [&first, &second] {
        assert_eq!(request.header("x-sandbox-id"), Some("warm-1"));
        assert_eq!(request.header("x-sandbox-pod-ip"), None);
    }
    assert!(!format!("{sandbox:?}").contains("s3cret"));
    other.disconnect().await;
    assert!(matches!(
        sandbox.files().exists("a").await,
        Err(CallError::Closed { .. })
    ));
}

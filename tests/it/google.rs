//! Google Cloud against fakes on loopback: token endpoints and the Telemetry API over TLS, one run for each kind of
//! credentials. The fakes enforce what Google does: a token that is known and has not ended, the project on the
//! resource, at most 200 points, a place for metrics.

mod tests {
    use std::collections::HashMap;
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use http::{Request, Response};
    use http_body_util::{BodyExt, Full};
    use hyper::body::Incoming;
    use serde_json::json;
    use tokio::task::JoinSet;
    use tokio_rustls::TlsAcceptor;
    use tonic::Status;

    use crate::authority::Authority;
    use crate::program::{Place, ended, result};
    use crate::receiver::{Asked, Manner, Receiver, listen, text_of};

    /// A key that was made for this test and opens nothing.
    const KEY: &str = include_str!("data/throwaway-service-account-key.pem");
    const PROJECT: &str = "my-project";

    /// Tokens that were given out and are still good.
    #[derive(Default)]
    struct Tokens {
        given: AtomicU64,
        /// Until when.
        good: Mutex<HashMap<String, Instant>>,
        /// Seconds that a token is said to last.
        lasts: AtomicU64,
    }

    impl Tokens {
        /// A new token.
        fn new_token(&self) -> serde_json::Value {
            let number = self.given.fetch_add(1, Ordering::Relaxed);
            let token = format!("token-{number}");
            let lasts = self.lasts.load(Ordering::Relaxed);
            let end = Instant::now() + Duration::from_secs(lasts);
            self.good.lock().unwrap().insert(token.clone(), end);
            json!({
                "access_token": token, "token_type": "Bearer", "expires_in": lasts,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            })
        }
    }

    /// Google's token endpoints and a machine's metadata server.
    async fn token_server(
        tokens: Arc<Tokens>,
        tls: Option<TlsAcceptor>,
    ) -> (SocketAddr, JoinSet<()>) {
        listen(tls, move |request| {
            token_answer(request, Arc::clone(&tokens))
        })
        .await
    }

    async fn token_answer(
        request: Request<Incoming>,
        tokens: Arc<Tokens>,
    ) -> Response<Full<bytes::Bytes>> {
        let path = request.uri().path().to_owned();
        let of_metadata = path.starts_with("/computeMetadata/");
        if of_metadata
            && request
                .headers()
                .get("metadata-flavor")
                .is_none_or(|f| f != "Google")
        {
            return reply(403, "Missing Metadata-Flavor:Google header.".to_owned());
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        match path.as_str() {
            "/token" if body.contains("good-refresh-token") => {
                reply(200, tokens.new_token().to_string())
            }
            "/token" => reply(
                400,
                json!({ "error": "invalid_grant", "error_description": "Token has been expired or revoked." })
                    .to_string(),
            ),
            "/sts" if body.contains("subject-token") => reply(200, tokens.new_token().to_string()),
            "/computeMetadata/v1/instance/service-accounts/default/token" => {
                reply(200, tokens.new_token().to_string())
            }
            "/computeMetadata/v1/project/project-id" => reply(200, PROJECT.to_owned()),
            "/computeMetadata/v1/instance/zone" => {
                reply(200, "projects/7/zones/europe-west1-b".to_owned())
            }
            _ => reply(404, "not found".to_owned()),
        }
    }

    fn reply(status: u16, body: String) -> Response<Full<bytes::Bytes>> {
        Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .header("metadata-flavor", "Google")
            .body(Full::new(body.into()))
            .unwrap()
    }

    /// What Google's Telemetry API refuses, in its words.
    fn google(tokens: &Tokens, asked: &Asked) -> Result<(), Status> {
        let bearer = asked
            .headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let token = bearer
            .and_then(|text| text.strip_prefix("Bearer "))
            .unwrap_or_default();
        // A service account's key makes its own token: a signed JWT.
        let good = tokens.good.lock().unwrap().get(token).copied();
        let known = token.starts_with("eyJ") || good.is_some_and(|end| Instant::now() < end);
        if !known {
            return Err(Status::unauthenticated(
                "Request had invalid authentication credentials.",
            ));
        }
        let Some(project) = text_of(&asked.resource, "gcp.project_id") else {
            return Err(Status::invalid_argument(
                "Resource is missing required attribute \"gcp.project_id\"",
            ));
        };
        if project != PROJECT {
            return Err(Status::permission_denied(format!(
                "Permission 'telemetry.traces.write' denied on resource 'projects/{project}' (or it may not exist)."
            )));
        }
        if asked.points > 200 {
            return Err(Status::invalid_argument("at most 200 data points"));
        }
        if asked.points > 0
            && text_of(&asked.resource, "location").is_none_or(|place| place == "global")
        {
            return Err(Status::invalid_argument("location is required"));
        }
        Ok(())
    }

    /// The fakes and a place whose environment leads to them.
    struct World {
        place: Place,
        tokens: Arc<Tokens>,
        api: Receiver,
        /// Over TLS.
        tokens_at: SocketAddr,
        /// As plain text, as a metadata server is.
        metadata_at: SocketAddr,
        authority: PathBuf,
        _tasks: (JoinSet<()>, JoinSet<()>),
    }

    async fn world() -> World {
        let place = Place::new();
        let authority = Authority::new();
        let path = place.file("authority.pem", &authority.pem);
        let tokens = Arc::new(Tokens::default());
        tokens.lasts.store(3600, Ordering::Relaxed);
        let asking = Arc::clone(&tokens);
        let manner = Manner::Asks(Arc::new(move |asked| google(&asking, asked)));
        let api = Receiver::start_with(manner, Some(authority.acceptor.clone())).await;
        let (tokens_at, first) = token_server(Arc::clone(&tokens), Some(authority.acceptor)).await;
        let (metadata_at, second) = token_server(Arc::clone(&tokens), None).await;
        World {
            place,
            tokens,
            api,
            tokens_at,
            metadata_at,
            authority: path,
            _tasks: (first, second),
        }
    }

    impl World {
        fn command(&self, arguments: &[&str]) -> Command {
            let mut command = self.place.command();
            command
                .args(arguments)
                .env("SSL_CERT_FILE", &self.authority)
                .env("GCE_METADATA_HOST", self.metadata_at.to_string())
                .env(
                    "SANDBENCH_OTLP_ENDPOINT",
                    format!("https://localhost:{}", self.api.address.port()),
                );
            command
        }

        fn with_file(&self, content: &serde_json::Value, arguments: &[&str]) -> Command {
            let kind = content["type"].as_str().unwrap_or_default();
            let file = self
                .place
                .file(&format!("{kind}.json"), &content.to_string());
            let mut command = self.command(arguments);
            command.env("GOOGLE_APPLICATION_CREDENTIALS", file);
            command
        }

        fn user(&self, refresh_token: &str) -> serde_json::Value {
            json!({
                "type": "authorized_user", "client_id": "id", "client_secret": "secret",
                "refresh_token": refresh_token, "quota_project_id": PROJECT,
                "token_uri": format!("https://localhost:{}/token", self.tokens_at.port()),
            })
        }

        fn federation(&self) -> serde_json::Value {
            let subject = self.place.file("subject", "subject-token");
            json!({
                "type": "external_account",
                "audience": "//iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/p/providers/q",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "token_url": format!("https://localhost:{}/sts", self.tokens_at.port()),
                "credential_source": { "file": subject },
            })
        }
    }

    fn service_account() -> serde_json::Value {
        json!({
            "type": "service_account", "project_id": PROJECT, "private_key_id": "1", "private_key": KEY,
            "client_email": "bench@my-project.iam.gserviceaccount.com", "client_id": "7",
            "token_uri": "https://127.0.0.1:1/token",
        })
    }

    const CHECK: [&str; 3] = ["telemetry", "check", "--gcp-location=europe-west1"];

    #[tokio::test(flavor = "multi_thread")]
    async fn every_kind_of_credentials_leads_to_google() {
        let world = world().await;
        let with = |extra: &'static str| [&CHECK[..], &[extra]].concat();
        let cases = [
            (
                "key",
                world.with_file(&service_account(), &with("--otlp-gcp")),
            ),
            (
                "user",
                world.with_file(&world.user("good-refresh-token"), &with("--otlp-gcp")),
            ),
            (
                "federation",
                world.with_file(&world.federation(), &with("--otlp-gcp=my-project")),
            ),
        ];
        for (number, (kind, command)) in (1..).zip(cases) {
            let ended = ended(command).await;
            assert_eq!(ended.code, Some(0), "{kind}: {ended:?}");
            assert_eq!(world.api.spans().len(), number, "{kind}");
            assert!(
                ended.stdout.contains("console.cloud.google.com"),
                "{ended:?}"
            );
            assert!(ended.stdout.contains("project=my-project"), "{ended:?}");
        }
        // The metadata server knows project and place as well.
        let metadata = ended(world.command(&["telemetry", "check", "--otlp-gcp"])).await;
        assert_eq!(metadata.code, Some(0), "{metadata:?}");
        assert_eq!((world.api.spans().len(), world.api.metrics().len()), (4, 4));
        let headers = world.api.headers();
        let quota = headers
            .iter()
            .filter(|headers| headers.contains_key("x-goog-user-project"));
        assert_eq!(quota.count(), 2, "the gcloud user's calls name who pays");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_google_refuses_is_told_with_what_to_do() {
        let world = world().await;
        let check = |arguments: &[&'static str]| {
            world.with_file(
                &service_account(),
                &[&["telemetry", "check"], arguments].concat(),
            )
        };
        let wrong = ended(check(&["--otlp-gcp=other", "--otlp-signals=traces"])).await;
        assert_eq!(wrong.code, Some(96), "{wrong:?}");
        assert!(
            wrong.stdout.contains("denied on resource 'projects/other'"),
            "{wrong:?}"
        );
        assert!(wrong.stdout.contains("roles/cloudtrace.agent"), "{wrong:?}");
        let nowhere = ended(check(&["--otlp-gcp"])).await;
        assert_eq!(nowhere.code, Some(96), "{nowhere:?}");
        assert!(nowhere.stderr.contains("--gcp-location"), "{nowhere:?}");
        let revoked = world.with_file(
            &world.user("old-refresh-token"),
            &["telemetry", "check", "--otlp-gcp"],
        );
        let revoked = ended(revoked).await;
        assert_eq!(revoked.code, Some(96), "{revoked:?}");
        assert!(
            revoked
                .stderr
                .contains("gcloud auth application-default login"),
            "{revoked:?}"
        );
        let federation =
            world.with_file(&world.federation(), &["telemetry", "check", "--otlp-gcp"]);
        let unnamed = ended(federation).await;
        assert!(unnamed.stderr.contains("--otlp-gcp=PROJECT"), "{unnamed:?}");
    }

    const RUN: &str = r"version: 1
name: long
target: { warmPool: p }
scenarios:
  long:
    matrix: { mode: [tunnel] }
    load: { vus: 1, duration: 14s }
    steps:
      - create: {}
      - sleep: 500ms
";

    #[tokio::test(flavor = "multi_thread")]
    async fn a_token_that_ends_in_the_middle_of_a_run_is_renewed_and_nothing_is_lost() {
        let world = world().await;
        // The library renews a token of less than 4 minutes every 10 s.
        world.tokens.lasts.store(12, Ordering::Relaxed);
        let file = world.place.file("run.yaml", RUN);
        let report = world.place.path("result.json");
        let mut command = world.with_file(&world.user("good-refresh-token"), &["run"]);
        command
            .arg(file)
            .args([
                "--otlp-gcp",
                "--gcp-location=europe-west1",
                "--trace-keep=first:100",
            ])
            .args(["--trace-propagate=none", "--out"])
            .arg(format!("json={}", report.display()));
        let ended = ended(command).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let told = result(&report).telemetry.unwrap();
        assert!(
            world.tokens.given.load(Ordering::Relaxed) >= 2,
            "it was renewed"
        );
        assert!(told.spans.sent > 0 && told.spans.is_complete(), "{told:?}");
        assert_eq!((told.spans.lost(), told.points.lost()), (0, 0), "{told:?}");
    }
}

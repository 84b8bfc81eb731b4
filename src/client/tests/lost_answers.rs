//! Creations whose answer is lost.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::fake::{Act, CLAIMS, Fake, client, discovery, ok, request, status};
use crate::client::{CreateError, Delivered};

/// An API server whose answer to the creation is lost; `lands` tells whether it takes place.
async fn losing(lands: Option<&'static str>) -> Fake {
    let made: Arc<Mutex<Option<Value>>> = Arc::default();
    Fake::start(move |request| {
        if let Some(found) = discovery(request) {
            return found;
        }
        match request.method.as_str() {
            "POST" => {
                let mut body = request.json();
                body["metadata"]["uid"] = json!("uid-a");
                if lands == Some("other") {
                    body["metadata"]["annotations"] = json!({});
                }
                if lands.is_some() {
                    *made.lock().expect("not poisoned") = Some(body);
                }
                vec![Act::Reset]
            }
            "GET" if request.target == format!("{CLAIMS}/a") => {
                match made.lock().expect("not poisoned").as_ref() {
                    Some(claim) => ok(claim),
                    None => status(404, "NotFound", "none"),
                }
            }
            _ => vec![Act::Hang],
        }
    })
    .await
}

#[tokio::test]
async fn a_lost_answer_to_the_creation_is_recovered() {
    let fake = losing(Some("ours")).await;
    let client = client(fake.address).await;
    let created = client.create(request("a")).await.expect("recovered");
    assert_eq!(created.uid(), "uid-a");
    assert_eq!(fake.count("POST"), 1);
}

#[tokio::test]
async fn a_claim_of_the_same_name_by_somebody_else_is_not_adopted() {
    let fake = losing(Some("other")).await;
    let client = client(fake.address).await;
    let error = client.create(request("a")).await.expect_err("not ours");
    assert!(
        matches!(error, CreateError::AlreadyExists { .. }),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_never_took_place_is_an_error() {
    let fake = losing(None).await;
    let client = client(fake.address).await;
    let error = client.create(request("a")).await.expect_err("lost");
    assert!(matches!(error, CreateError::Kube { .. }), "{error}");
    assert_eq!(error.delivered(), Delivered::Unknown);
}

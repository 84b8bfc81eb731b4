//! What is said when no client can be built.

use super::fake::{Act, Fake, answer, builder, status};
use crate::client::BuildError;

#[tokio::test]
async fn a_cluster_without_agent_sandbox_says_so_and_how_to_install_it() {
    let fake = Fake::start(|_| answer("404 Not Found", "404 page not found")).await;
    let error = builder(fake.address)
        .build()
        .await
        .expect_err("not installed");
    assert!(matches!(error, BuildError::NotInstalled { .. }), "{error}");
    assert!(
        error
            .help()
            .is_some_and(|help| help.contains("kubectl apply"))
    );
}

#[tokio::test]
async fn missing_rights_name_the_verb() {
    let fake = Fake::start(|_| status(403, "Forbidden", "no")).await;
    let error = builder(fake.address).build().await.expect_err("forbidden");
    let help = error.help().expect("has help");
    assert!(
        help.contains("`list`") && help.contains("sandboxclaims"),
        "{help}"
    );
}

#[tokio::test]
async fn an_api_server_that_is_not_there_is_named() {
    let fake = Fake::start(|_| vec![Act::Close]).await;
    let address = fake.address;
    drop(fake);
    let error = builder(address).build().await.expect_err("nobody there");
    assert!(matches!(error, BuildError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(
        error
            .help()
            .is_some_and(|help| help.contains("nothing listens"))
    );
}

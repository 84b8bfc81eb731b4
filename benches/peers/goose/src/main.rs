//! Goose posting the same command as the others: `goose-peer --host URL -u USERS -r RATE -t SECONDS`.

use goose::prelude::*;

async fn execute(user: &mut GooseUser) -> TransactionResult {
    let request = user
        .get_request_builder(&GooseMethod::Post, "/execute")?
        .header("content-type", "application/json")
        .body(r#"{"command":"true"}"#);
    let request = GooseRequest::builder().set_request_builder(request).build();
    let answer = user.request(request).await?;
    if let Ok(response) = answer.response {
        let _body = response.bytes().await;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    GooseAttack::initialize()?
        .register_scenario(scenario!("exec").register_transaction(transaction!(execute)))
        .execute()
        .await?;
    Ok(())
}

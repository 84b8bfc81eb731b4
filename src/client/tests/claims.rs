//! Claims: what is sent, and how waiting survives whatever a watch can do.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use super::fake::{
    Act, CLAIMS, Fake, LONG, RUN, Recorded, answer, builder, chunk, claim, client, discovery,
    event, last_chunk, list, ok, ready_status, request, status, stream_head, watches,
};
use crate::client::{ClaimSource, CreateError, LaunchType, ReadyError, random_claim_name};

/// An API server with one claim `a`: each list and each watch takes the next script, and hangs if
/// there is none.
struct Script {
    lists: Mutex<VecDeque<Vec<Act>>>,
    watches: Mutex<VecDeque<Vec<Act>>>,
    get: Vec<Act>,
}

async fn cluster(lists: Vec<Vec<Act>>, watches: Vec<Vec<Act>>) -> Fake {
    cluster_with(lists, watches, status(404, "NotFound", "none")).await
}

async fn cluster_with(lists: Vec<Vec<Act>>, watches: Vec<Vec<Act>>, get: Vec<Act>) -> Fake {
    let script = Script {
        lists: Mutex::new(lists.into()),
        watches: Mutex::new(watches.into()),
        get,
    };
    Fake::start(move |request| script.answer(request)).await
}

impl Script {
    fn answer(&self, request: &Recorded) -> Vec<Act> {
        if let Some(found) = discovery(request) {
            return found;
        }
        let next =
            |queue: &Mutex<VecDeque<Vec<Act>>>| queue.lock().expect("not poisoned").pop_front();
        match request.method.as_str() {
            "POST" => answer("201 Created", claim("a", 5, &json!({})).to_string()),
            _ if request.is_watch() => next(&self.watches).unwrap_or_else(|| vec![Act::Hang]),
            _ if request.target.starts_with(&format!("{CLAIMS}?")) => {
                next(&self.lists).unwrap_or_else(|| vec![Act::Hang])
            }
            _ => self.get.clone(),
        }
    }
}

fn ready(version: u64) -> String {
    event("MODIFIED", &claim("a", version, &ready_status()))
}

/// Creates `a` and waits for it.
async fn outcome(fake: &Fake) -> Result<crate::client::ReadyClaim, ReadyError> {
    let client = client(fake.address).await;
    let created = client.create(request("a")).await.expect("created");
    let outcome = created.wait_ready(LONG).await;
    client.close().await;
    assert_eq!(client.open_connections(), 0);
    outcome
}

#[tokio::test]
async fn a_claim_is_created_and_waited_for_on_one_labelled_watch() {
    let fake = cluster(
        vec![list(10, &[])],
        vec![vec![stream_head(), chunk(&ready(11)), Act::Hang]],
    )
    .await;
    let client = client(fake.address).await;
    let mut wanted = request("a");
    wanted.time_to_live = Some(Duration::from_mins(1));
    wanted.labels.insert("team".to_owned(), "x".to_owned());
    let created = client.create(wanted).await.expect("created");
    let ready = created.wait_ready(LONG).await.expect("ready");
    assert_eq!(ready.sandbox_name, "warm-1");
    assert_eq!(ready.claim_uid, "uid-a");
    assert_eq!(ready.launch_type, LaunchType::Warm);
    assert_eq!(ready.pod_ips.len(), 1);
    assert!(ready.acknowledged <= ready.bound && ready.bound <= ready.ready);

    let requests = fake.requests();
    let post = requests.iter().find(|r| r.method == "POST").expect("sent");
    assert_eq!(post.target, CLAIMS);
    let body = post.json();
    assert_eq!(body["apiVersion"], "extensions.agents.x-k8s.io/v1beta1");
    assert_eq!(body["kind"], "SandboxClaim");
    assert_eq!(body["metadata"]["name"], "a");
    assert_eq!(body["metadata"]["labels"]["team"], "x");
    assert_eq!(body["metadata"]["labels"]["sandbench.dev/run-id"], RUN);
    assert_eq!(
        body["metadata"]["labels"]["agents.x-k8s.io/created-by"],
        "rust-client"
    );
    let at = body["metadata"]["annotations"]["agents.x-k8s.io/client-first-requested-at"].as_str();
    assert!(at.is_some_and(|at| at.ends_with('Z')), "{at:?}");
    assert_eq!(body["spec"]["warmPoolRef"], json!({"name": "pool"}));
    assert_eq!(body["spec"]["lifecycle"]["shutdownPolicy"], "Delete");
    assert!(body.get("status").is_none());

    let watches = watches(&fake);
    assert_eq!(watches.len(), 1);
    assert_eq!(
        watches[0].query("labelSelector"),
        Some("sandbench.dev%2Frun-id%3Drun-1")
    );
    assert_eq!(watches[0].query("resourceVersion"), Some("10"));
    assert_eq!(watches[0].query("allowWatchBookmarks"), Some("true"));
    assert_ne!(watches[0].connection, post.connection);
    client.close().await;
}

#[tokio::test]
async fn an_expired_watch_is_followed_by_a_new_list() {
    let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "old"});
    let in_stream = vec![stream_head(), chunk(&event("ERROR", &gone)), last_chunk()];
    let as_status = status(410, "Gone", "old");
    for expired in [in_stream, as_status] {
        let fake = cluster(
            vec![list(10, &[]), list(20, &[claim("a", 19, &ready_status())])],
            vec![expired],
        )
        .await;
        assert_eq!(outcome(&fake).await.expect("ready").sandbox_name, "warm-1");
    }
}

#[tokio::test]
async fn a_broken_watch_continues_from_the_last_whole_event() {
    let waiting = event("ADDED", &claim("a", 12, &json!({})));
    let half = &ready(13)[..40];
    for end in [Act::Close, Act::Reset] {
        let broken = vec![stream_head(), chunk(&waiting), chunk(half), end];
        let whole = vec![stream_head(), chunk(&ready(13)), Act::Hang];
        let fake = cluster(vec![list(10, &[])], vec![broken, whole]).await;
        outcome(&fake).await.expect("ready");
        let versions: Vec<String> = watches(&fake)
            .iter()
            .filter_map(|watch| watch.query("resourceVersion").map(str::to_owned))
            .collect();
        assert_eq!(versions, ["10", "12"]);
    }
}

#[tokio::test]
async fn half_a_line_before_a_proper_end_is_not_an_event() {
    let half = vec![stream_head(), chunk(&ready(13)[..40]), last_chunk()];
    let whole = vec![stream_head(), chunk(&ready(13)), Act::Hang];
    let fake = cluster(vec![list(10, &[])], vec![half, whole]).await;
    outcome(&fake).await.expect("ready");
    assert_eq!(watches(&fake)[1].query("resourceVersion"), Some("10"));
}

#[tokio::test]
async fn an_event_may_come_in_any_pieces() {
    let text = ready(11);
    let mut acts = vec![stream_head()];
    acts.extend(text.split_inclusive(':').map(chunk));
    acts.push(Act::Hang);
    let fake = cluster(vec![list(10, &[])], vec![acts]).await;
    outcome(&fake).await.expect("ready");
}

#[tokio::test]
async fn bookmarks_strangers_and_duplicates_do_no_harm() {
    let bookmark = json!({"kind": "SandboxClaim", "metadata": {"resourceVersion": "50"}});
    let waiting = event("ADDED", &claim("a", 12, &json!({})));
    let first = vec![
        stream_head(),
        chunk(&waiting),
        chunk(&waiting),
        chunk(&event("MODIFIED", &claim("b", 13, &ready_status()))),
        chunk(&event("DELETED", &claim("b", 14, &json!({})))),
        chunk(&event("BOOKMARK", &bookmark)),
        chunk("\n"),
        Act::Close,
    ];
    let second = vec![stream_head(), chunk(&ready(51)), Act::Hang];
    let fake = cluster(vec![list(10, &[])], vec![first, second]).await;
    outcome(&fake).await.expect("ready");
    assert_eq!(watches(&fake)[1].query("resourceVersion"), Some("50"));
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_falls_silent_is_replaced() {
    let silent = vec![stream_head(), Act::Hang];
    let whole = vec![stream_head(), chunk(&ready(11)), Act::Hang];
    let waiting = ok(&claim("a", 5, &json!({})));
    let fake = cluster_with(vec![list(10, &[])], vec![silent, whole], waiting).await;
    outcome(&fake).await.expect("ready");
    assert_eq!(watches(&fake).len(), 2);
}

#[tokio::test]
async fn the_controllers_reason_fails_at_once_with_its_message() {
    let failed = json!({"conditions": [{"type": "Ready", "status": "False",
        "reason": "WarmPoolNotFound", "message": "SandboxWarmPool \"pool\" not found"}]});
    let acts = vec![
        stream_head(),
        chunk(&event("MODIFIED", &claim("a", 11, &failed))),
        Act::Hang,
    ];
    let fake = cluster(vec![list(10, &[])], vec![acts]).await;
    let error = outcome(&fake).await.expect_err("failed");
    assert!(
        matches!(&error, ReadyError::Failed { reason, message, .. }
            if reason == "WarmPoolNotFound" && message.contains("\"pool\" not found")),
        "{error}"
    );
    assert!(error.help().is_some());
}

#[tokio::test]
async fn a_deleted_claim_is_noticed_from_the_watch_and_from_a_list() {
    let by_event = cluster(
        vec![list(10, &[])],
        vec![vec![
            stream_head(),
            chunk(&event("DELETED", &claim("a", 11, &json!({})))),
            Act::Hang,
        ]],
    )
    .await;
    let by_list = cluster(
        vec![list(10, &[claim("a", 5, &json!({}))]), list(20, &[])],
        vec![status(410, "Gone", "old")],
    )
    .await;
    for fake in [by_event, by_list] {
        let error = outcome(&fake).await.expect_err("deleted");
        assert!(matches!(error, ReadyError::Deleted { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_claim_that_was_replaced_is_not_taken_for_ours() {
    let mut other = claim("a", 11, &ready_status());
    other["metadata"]["uid"] = json!("another");
    let acts = vec![stream_head(), chunk(&event("ADDED", &other)), Act::Hang];
    let fake = cluster_with(vec![list(10, &[])], vec![acts], ok(&other)).await;
    let error = outcome(&fake).await.expect_err("replaced");
    assert!(matches!(error, ReadyError::Replaced { .. }), "{error}");
}

#[tokio::test]
async fn where_listing_is_forbidden_each_claim_is_watched_alone() {
    let waiting = ok(&claim("a", 5, &json!({})));
    let acts = vec![stream_head(), chunk(&ready(6)), Act::Hang];
    let fake = cluster_with(vec![status(403, "Forbidden", "no")], vec![acts], waiting).await;
    outcome(&fake).await.expect("ready");
    let watches = watches(&fake);
    assert_eq!(watches[0].query("fieldSelector"), Some("metadata.name%3Da"));
    assert_eq!(watches[0].query("resourceVersion"), Some("5"));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_names_the_last_condition() {
    let waiting = json!({"conditions": [{"type": "Ready", "status": "False",
        "reason": "SandboxNotReady", "message": "pulling"}], "sandbox": {"name": "s"}});
    let acts = vec![
        stream_head(),
        chunk(&event("ADDED", &claim("a", 11, &waiting))),
        Act::Hang,
    ];
    let fake = cluster(vec![list(10, &[])], vec![acts]).await;
    let client = client(fake.address).await;
    let created = client.create(request("a")).await.expect("created");
    let error = created
        .wait_ready(Duration::from_secs(3))
        .await
        .expect_err("late");
    let text = error.to_string();
    assert!(
        text.contains("within 3s")
            && text.contains("bound to sandbox `s`, Ready=False, reason SandboxNotReady: pulling"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_creation_with_all_that_belongs_to_it_is_bounded() {
    // A template's pool is looked up; then neither the creation nor the looks are answered.
    let pool = json!({"metadata": {"name": "pool"}, "spec": {"sandboxTemplateRef": {"name": "t"}}});
    let fake = Fake::start(move |request| match request.method.as_str() {
        _ if discovery(request).is_some() => discovery(request).unwrap_or_default(),
        "GET" if request.target.contains("sandboxwarmpools") => {
            list(1, std::slice::from_ref(&pool))
        }
        _ => vec![Act::Hang],
    })
    .await;
    let builder = builder(fake.address).request_timeout(Duration::from_secs(2));
    let client = builder.build().await.expect("answers");
    let mut request = request("a");
    request.source = ClaimSource::Template("t".to_owned());
    let started = tokio::time::Instant::now();
    let error = client.create(request).await.expect_err("no answer");
    assert!(matches!(error, CreateError::Lost { .. }), "{error}");
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(4),
        "each had its time: {took:?}"
    );
    assert!(took < Duration::from_secs(5), "and no more: {took:?}");
    let looks = fake.requests();
    let looks = looks.iter().filter(|r| r.target == format!("{CLAIMS}/a"));
    assert_eq!(looks.count(), 1, "the first one took all the time");
}

#[tokio::test]
async fn names_that_could_never_be_routed_are_refused_before_anything_is_sent() {
    let fake = cluster(vec![], vec![]).await;
    let client = client(fake.address).await;
    let error = client.create(request("a.b")).await.expect_err("invalid");
    assert!(matches!(error, CreateError::Invalid { .. }), "{error}");
    assert!(fake.requests().iter().all(|r| r.method == "GET"));
}

#[tokio::test]
async fn a_closed_client_says_that_it_is_closed() {
    let fake = cluster(vec![list(10, &[])], vec![]).await;
    let client = client(fake.address).await;
    let created = client.create(request("a")).await.expect("created");
    client.close().await;
    let error = created.wait_ready(LONG).await.expect_err("closed");
    assert!(matches!(error, ReadyError::Closed { .. }), "{error}");
    let error = client.delete("a", None).await.expect_err("closed");
    let source = std::error::Error::source(&error).expect("has a cause");
    assert!(
        source.to_string().ends_with("the client is closed"),
        "{source}"
    );
    assert_eq!(client.open_connections(), 0);
}

#[test]
fn random_names_have_64_random_bits() {
    let name = random_claim_name();
    assert_eq!(name.len(), "sandbox-claim-".len() + 16);
    assert_ne!(name, random_claim_name());
}

//! Snapshots with our client on the loopback cluster: the checks P1 to P10 of upstream's snapshot
//! extension, and what must not work.

use std::time::Duration;

use sandbench::client::{
    ClaimSource, Client, ConnectionMode, CreateRequest, Deleted, ManageError, ReadyClaim,
    RestoreError, Snapshot, SnapshotFilter,
};
use sandbench::loopback::ClusterConfig;
use serde_json::json;

use crate::cluster::{Running, client_of};
use crate::program::Place;

const LIMIT: Duration = Duration::from_secs(30);

struct World {
    running: Running,
    client: Client,
    ready: ReadyClaim,
    _place: Place,
}

impl World {
    /// A cluster with one claim, adopted from a warm pool.
    async fn start() -> Self {
        let place = Place::new();
        let running = Running::start_with(&place, ClusterConfig::default()).await;
        running.pool("p", 1, json!({})).await;
        let client = client_of(&running, |builder| builder).await;
        let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
        let claim = client.create(request).await.unwrap();
        let ready = claim.wait_ready(LIMIT).await.unwrap();
        Self {
            running,
            client,
            ready,
            _place: place,
        }
    }

    fn mode() -> ConnectionMode {
        "in-cluster-pod-ip".parse().unwrap()
    }

    async fn run(&self, command: &str) -> String {
        let state = self.client.status(&self.ready).await.unwrap();
        let ready = ReadyClaim {
            pod_ips: state.details().unwrap().pod_ips.clone(),
            ..self.ready.clone()
        };
        let mode = Self::mode();
        let sandbox = self.client.connect(&ready, &mode).await.unwrap();
        let command = format!("sh -c '{command}'");
        let result = sandbox.commands().run(command.as_str()).await.unwrap();
        assert_eq!(result.exit_code, 0, "{command}: {}", result.stderr);
        result.stdout
    }

    async fn write(&self, content: &str) {
        self.run(&format!("printf {content} > state")).await;
    }

    async fn read(&self) -> String {
        self.run("cat state").await
    }

    async fn take(&self, purpose: &str) -> Snapshot {
        let taken = self.client.take_snapshot(&self.ready, purpose, LIMIT).await;
        taken.unwrap()
    }

    /// Writes a state and takes a snapshot of it.
    async fn keep(&self, content: &str) -> Snapshot {
        self.write(content).await;
        self.take(content).await
    }

    async fn suspend(&self) {
        self.client.suspend(&self.ready, LIMIT).await.unwrap();
    }

    async fn resume(&self) -> Option<String> {
        let resumed = self.client.resume_from_newest(&self.ready, LIMIT).await;
        resumed.unwrap().snapshot
    }

    async fn restore(&self, snapshot: &Snapshot) {
        let name = &snapshot.name;
        let restored = self.client.restore(&self.ready, name, LIMIT).await;
        restored.unwrap();
    }

    async fn names(&self) -> Vec<String> {
        let found = self.client.list_snapshots(&self.ready).await.unwrap();
        found.into_iter().map(|found| found.name).collect()
    }

    async fn triggers(&self) -> usize {
        let kind = "PodSnapshotManualTrigger";
        let triggers = self.running.api("podsnapshot.gke.io", "v1", kind);
        let listed = triggers.list(&kube::api::ListParams::default()).await;
        listed.unwrap().items.len()
    }

    async fn end(self) {
        assert_eq!(self.triggers().await, 0, "triggers go when they are done");
        self.client.close().await;
        let left = self.client.open_connections() + self.client.open_tunnels();
        assert_eq!(left, 0);
        assert!(self.running.cluster.shutdown().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_p5_p6_p7_p8_snapshots_are_taken_listed_newest_first_filtered_and_deleted() {
    let world = World::start().await;
    let (first, second) = (world.keep("one").await, world.keep("two").await);
    assert_ne!(first.name, second.name, "P1: two snapshots, two names");
    assert!(first.is_ready && !first.created_at.is_empty());
    let third = world.keep("three").await;
    let [one, two, three] = [&first, &second, &third].map(|taken| taken.name.clone());
    let newest_first = vec![three.clone(), two.clone(), one.clone()];
    assert_eq!(world.names().await, newest_first, "P5: newest first");

    let gone = world.client.delete_snapshot(&two, LIMIT).await.unwrap();
    assert_eq!(gone, Deleted::Accepted, "P6: deleted by its name");
    assert_eq!(world.names().await, [three.clone(), one.clone()]);
    let again = world.client.delete_snapshot(&two, LIMIT).await.unwrap();
    assert_eq!(again, Deleted::NotFound);

    let found = world.client.list_snapshots(&world.ready).await.unwrap();
    let made = |at: usize| found[at].created_at.parse::<jiff::Timestamp>().unwrap();
    let (second_of_last, second_of_first) = (made(0), made(1));
    let after = SnapshotFilter {
        created_after: Some(second_of_last),
        ..SnapshotFilter::default()
    };
    let kept = world.client.find_snapshots(&world.ready, &after).await;
    let kept: Vec<_> = kept.unwrap().into_iter().map(|kept| kept.name).collect();
    assert!(kept.contains(&three), "P7: the newest is not before itself");
    assert_eq!(kept.contains(&one), second_of_first == second_of_last);
    let later = SnapshotFilter {
        created_after: Some(second_of_last + Duration::from_secs(1)),
        ..SnapshotFilter::default()
    };
    let deleted = world.client.delete_snapshots(&world.ready, &later, LIMIT);
    assert_eq!(
        deleted.await.unwrap(),
        Vec::<String>::new(),
        "P7: none is later"
    );

    let all = SnapshotFilter::default();
    let deleted = world.client.delete_snapshots(&world.ready, &all, LIMIT);
    assert_eq!(deleted.await.unwrap(), [three, one], "P8: all are deleted");
    assert_eq!(world.names().await, Vec::<String>::new());
    assert_eq!(world.running.cluster.leftovers().snapshots, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_p3_p9_a_sandbox_is_resumed_from_its_newest_snapshot_or_restored_to_a_chosen_one() {
    let world = World::start().await;
    let old = world.keep("old").await;
    world.write("new").await;
    let kept = world.client.suspend_with_snapshot(&world.ready, LIMIT);
    let newest = kept.await.unwrap().expect("it was running");
    let again = world.client.suspend_with_snapshot(&world.ready, LIMIT);
    assert_eq!(again.await.unwrap(), None, "it is suspended already");
    let resumed = world.resume().await;
    assert_eq!(resumed.as_ref(), Some(&newest.name), "P2: the newest");
    assert_eq!(world.read().await, "new", "P2: the state is kept");
    assert_eq!(
        world.resume().await,
        None,
        "a running sandbox is left alone"
    );

    world.write("lost").await;
    world.suspend().await;
    world.restore(&old).await;
    assert_eq!(world.read().await, "old", "P3: the chosen one");
    world.suspend().await;
    let resumed = world.resume().await;
    assert_eq!(resumed, Some(newest.name), "P9: the choice does not stay");
    assert_eq!(world.read().await, "new", "P9");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_running_sandbox_is_not_restored_nor_one_to_what_does_not_exist() {
    let world = World::start().await;
    let kept = world.keep("kept").await;
    let running = world.client.restore(&world.ready, &kept.name, LIMIT).await;
    let running = running.unwrap_err();
    assert!(
        matches!(running, RestoreError::Running { .. }),
        "P4: {running}"
    );
    world.suspend().await;
    let unknown = world.client.restore(&world.ready, "nothing", LIMIT).await;
    assert!(matches!(
        unknown,
        Err(RestoreError::Snapshot(ManageError::NotFound { .. }))
    ));
    let suspended = world.client.take_snapshot(&world.ready, "a", LIMIT).await;
    let suspended = suspended.unwrap_err();
    assert!(
        matches!(&suspended, ManageError::Failed { reason, message, .. }
            if reason == "Failed" && message.contains("not found")),
        "{suspended}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_another_client_that_finds_the_claim_resumes_its_sandbox() {
    let mut world = World::start().await;
    world.write("state").await;
    let kept = world.client.suspend_with_snapshot(&world.ready, LIMIT);
    let kept = kept.await.unwrap().expect("it was running");
    world.client.close().await;
    world.client = client_of(&world.running, |builder| builder).await;
    assert_eq!(world.resume().await, Some(kept.name), "P10");
    assert_eq!(world.read().await, "state", "P10");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_without_a_snapshot_and_another_sandbox_start_empty() {
    let world = World::start().await;
    world.write("state").await;
    world.suspend().await;
    assert_eq!(world.resume().await, None, "there is none to resume from");
    assert_eq!(world.run("ls").await, "");
    world.keep("mine").await;
    let request = CreateRequest::new(ClaimSource::WarmPool("p".to_owned()));
    let other = world.client.create(request).await.unwrap();
    let other = other.wait_ready(LIMIT).await.unwrap();
    let found = world.client.list_snapshots(&other).await.unwrap();
    assert_eq!(found, [], "snapshots are their sandbox's own");
    world.client.suspend(&other, LIMIT).await.unwrap();
    let resumed = world.client.resume_from_newest(&other, LIMIT).await;
    let resumed = resumed.unwrap();
    assert_eq!(resumed.snapshot, None);
    let mode = World::mode();
    let sandbox = world.client.connect(&resumed.ready, &mode).await.unwrap();
    let listed = sandbox.commands().run("ls").await.unwrap();
    assert_eq!(listed.stdout, "");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_copy_has_links_and_modes_and_nothing_from_outside_the_pod() {
    let world = World::start().await;
    let prepare = "mkdir -p d/e && printf x > d/e/f && chmod 751 d/e/f && ln -s d/e/f inside && \
        ln -s /etc outside && mkfifo pipe";
    world.run(prepare).await;
    world.take("links").await;
    world.suspend().await;
    assert!(world.resume().await.is_some());
    let look = "stat -c %a d/e/f; cat inside; readlink outside; test -e pipe || echo none";
    assert_eq!(world.run(look).await, "751\nx/etc\nnone\n");
    world.end().await;
}

//! The store: versions, history, preconditions, deletion and ownership.

use std::cell::Cell;

use super::table::{HISTORY, KEPT};
use super::*;

const NAMESPACE: &str = "default";

fn store() -> Store {
    let (store, queue) = Store::new();
    // The queue has no reader here: what is released is not collected.
    drop(queue);
    store
        .create(
            kind("Namespace"),
            "",
            json!({ "metadata": { "name": NAMESPACE } }),
        )
        .unwrap();
    store
}

fn claim(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "warmPoolRef": { "name": "p" } },
            "status": { "dropped": true } })
}

fn claims() -> &'static Kind {
    kind("SandboxClaim")
}

#[test]
fn a_new_object_gets_uid_time_version_and_generation_and_loses_its_status() {
    let store = store();
    let object = store.create(claims(), NAMESPACE, claim("a")).unwrap();
    assert_eq!(object.value["metadata"]["generation"], 1);
    assert!(!object.uid().is_empty());
    assert!(object.value.get("status").is_none());
    assert_eq!(
        object.shown()["metadata"]["resourceVersion"],
        json!(object.version.to_string())
    );
    assert_eq!(
        store.create(claims(), NAMESPACE, claim("a")).unwrap_err(),
        StoreError::AlreadyExists
    );
    assert!(matches!(
        store.create(claims(), "nowhere", claim("a")),
        Err(StoreError::NoNamespace(_))
    ));
    assert!(matches!(
        store.create(claims(), NAMESPACE, claim("Not_A_Name")),
        Err(StoreError::Invalid { .. })
    ));
}

#[test]
fn a_generated_name_keeps_its_base() {
    let value = json!({ "metadata": { "generateName": "pool-" }, "spec": {} });
    let object = store().create(kind("Sandbox"), NAMESPACE, value).unwrap();
    assert!(object.name().starts_with("pool-"));
    assert_eq!(object.name().len(), "pool-".len() + 5);
}

#[test]
fn a_generated_name_that_is_taken_is_replaced_by_another_up_to_eight_times() {
    let asked = Cell::new(0);
    let taken_until = |last: u32| {
        asked.set(0);
        object::free_name("claim-", |_| {
            asked.set(asked.get() + 1);
            asked.get() < last
        })
    };
    assert!(taken_until(8).unwrap().starts_with("claim-"));
    assert_eq!(asked.get(), 8);
    assert_eq!(taken_until(9), None);
    assert_eq!(asked.get(), 8);
}

#[test]
fn spec_and_status_writes_do_not_touch_each_other() {
    let store = store();
    store.create(claims(), NAMESPACE, claim("a")).unwrap();
    let change = |value: &mut Value| {
        value["spec"]["warmPoolRef"]["name"] = json!("q");
        value["status"] = json!({ "x": 1 });
        Ok(())
    };
    let status = store
        .update(claims(), (NAMESPACE, "a"), Part::Status, change)
        .unwrap();
    assert_eq!(status.value["spec"]["warmPoolRef"]["name"], "p");
    assert_eq!(status.value["metadata"]["generation"], 1);
    let main = store
        .update(claims(), (NAMESPACE, "a"), Part::Main, |value| {
            value["spec"]["warmPoolRef"]["name"] = json!("q");
            value["status"] = json!({ "x": 2 });
            Ok(())
        })
        .unwrap();
    assert_eq!(main.value["status"]["x"], 1);
    assert_eq!(main.value["metadata"]["generation"], 2);
}

#[test]
fn a_write_that_changes_nothing_keeps_the_version_and_tells_nobody() {
    let store = store();
    let before = store.create(claims(), NAMESPACE, claim("a")).unwrap();
    let after = store
        .update(claims(), (NAMESPACE, "a"), Part::Main, |_| Ok(()))
        .unwrap();
    assert_eq!(before.version, after.version);
    assert_eq!(store.version(), before.version);
}

#[test]
fn a_stale_resource_version_and_a_wrong_uid_are_conflicts() {
    let store = store();
    store.create(claims(), NAMESPACE, claim("a")).unwrap();
    let stale = store.update(claims(), (NAMESPACE, "a"), Part::Main, |value| {
        value["metadata"]["resourceVersion"] = json!("1");
        Ok(())
    });
    assert_eq!(stale.unwrap_err(), StoreError::Conflict);
    let options = DeleteOptions {
        uid: Some("other".to_owned()),
        ..DeleteOptions::default()
    };
    assert!(matches!(
        store.delete(claims(), (NAMESPACE, "a"), &options),
        Err(StoreError::Precondition { .. })
    ));
}

#[tokio::test]
async fn a_watcher_gets_every_event_after_its_version_in_order() {
    let store = store();
    let first = store.create(claims(), NAMESPACE, claim("a")).unwrap();
    let mut watcher = store.watch(claims(), first.version).unwrap();
    store.create(claims(), NAMESPACE, claim("b")).unwrap();
    store
        .update(claims(), (NAMESPACE, "b"), Part::Status, |value| {
            value["status"] = json!({ "x": 1 });
            Ok(())
        })
        .unwrap();
    store
        .delete(claims(), (NAMESPACE, "b"), &DeleteOptions::default())
        .unwrap();
    let events = watcher.next().await.unwrap();
    let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::Added, EventKind::Modified, EventKind::Deleted]
    );
    assert!(events.is_sorted_by_key(|event| event.object.version));
    assert_eq!(watcher.position(), store.version());
}

/// So many events.
fn make_events(store: &Store, count: usize) {
    for _ in 0..count / 2 {
        store.create(claims(), NAMESPACE, claim("a")).unwrap();
        store
            .delete(claims(), (NAMESPACE, "a"), &DeleteOptions::default())
            .unwrap();
    }
}

#[test]
fn a_version_before_the_history_is_expired() {
    let store = store();
    make_events(&store, 2 * KEPT);
    assert!(store.watch(claims(), 2).is_err());
    assert!(store.watch(claims(), store.version()).is_ok());
}

#[tokio::test]
async fn what_an_open_watch_has_not_read_is_kept_until_it_is_too_much() {
    let store = store();
    let before = store.version();
    let mut slow = store.watch(claims(), before).unwrap();
    let mut stuck = store.watch(claims(), before).unwrap();
    make_events(&store, 3 * KEPT);
    let mut read = 0;
    while slow.position() < store.version() {
        read += slow.next().await.unwrap().len();
    }
    assert_eq!(read, 3 * KEPT);
    make_events(&store, HISTORY);
    assert!(stuck.next().await.is_err());
}

#[tokio::test]
async fn events_of_several_kinds_come_together() {
    let store = store();
    let mut both = store.watch_all(&[claims(), kind("Event")]).unwrap();
    store.create(claims(), NAMESPACE, claim("a")).unwrap();
    let event = json!({ "metadata": { "name": "b" } });
    store.create(kind("Event"), NAMESPACE, event).unwrap();
    let names = |events: Vec<Event>| -> Vec<String> {
        let names = events.iter().map(|event| event.object.name().to_owned());
        names.collect()
    };
    assert_eq!(names(both.next().await.unwrap()), ["a", "b"]);
    let (later, ()) = tokio::join!(both.next(), async {
        store.create(claims(), NAMESPACE, claim("c")).unwrap();
    });
    assert_eq!(names(later.unwrap()), ["c"]);
}

#[test]
fn a_deleted_owner_releases_its_dependents_to_the_collector() {
    let (store, mut queue) = Store::new();
    store
        .create(
            kind("Namespace"),
            "",
            json!({ "metadata": { "name": NAMESPACE } }),
        )
        .unwrap();
    let owner = store.create(claims(), NAMESPACE, claim("a")).unwrap();
    let value = json!({ "metadata": { "name": "s", "ownerReferences": [{ "uid": owner.uid() }] } });
    store.create(kind("Sandbox"), NAMESPACE, value).unwrap();
    store
        .delete(claims(), (NAMESPACE, "a"), &DeleteOptions::default())
        .unwrap();
    let released = queue.try_recv().unwrap();
    assert_eq!(released.uid, owner.uid());
    assert_eq!(store.dependents(&released.uid).len(), 1);
}

#[test]
fn what_names_an_owner_that_has_gone_is_released_to_the_collector() {
    let (store, mut queue) = Store::new();
    let namespace = json!({ "metadata": { "name": NAMESPACE } });
    store.create(kind("Namespace"), "", namespace).unwrap();
    let owner = store.create(claims(), NAMESPACE, claim("a")).unwrap();
    let reference = json!([{ "kind": "SandboxClaim", "name": "a", "uid": owner.uid() }]);
    let free = json!({ "metadata": { "name": "adopted-late" } });
    store.create(kind("Sandbox"), NAMESPACE, free).unwrap();
    store
        .delete(claims(), (NAMESPACE, "a"), &DeleteOptions::default())
        .unwrap();
    queue.try_recv().unwrap();

    let value = json!({ "metadata": { "name": "made-late", "ownerReferences": reference } });
    store.create(kind("Sandbox"), NAMESPACE, value).unwrap();
    let place = (NAMESPACE, "adopted-late");
    store
        .update(kind("Sandbox"), place, Part::Main, |value| {
            value["metadata"]["ownerReferences"] = reference;
            Ok(())
        })
        .unwrap();
    for _written in ["made-late", "adopted-late"] {
        let released = queue.try_recv().unwrap();
        assert_eq!((&*released.uid, &*released.key.name), (owner.uid(), "a"));
        assert_eq!(store.dependents(&released.uid).len(), 2);
    }
    assert!(
        queue.try_recv().is_err(),
        "an owner that lives releases nothing"
    );
}

#[test]
fn a_scheduled_pod_and_a_foreground_deletion_linger() {
    let store = store();
    let pod = json!({ "metadata": { "name": "p" }, "spec": { "nodeName": "n" } });
    let pod = store.create(kind("Pod"), NAMESPACE, pod).unwrap();
    let deleted = store
        .delete(kind("Pod"), (NAMESPACE, "p"), &DeleteOptions::default())
        .unwrap();
    assert!(matches!(&deleted, Deleted::Lingering(pod) if pod.is_deleting()));
    store.remove(kind("Pod"), (NAMESPACE, "p"), pod.uid());
    assert!(store.get(kind("Pod"), NAMESPACE, "p").is_none());
    store.create(claims(), NAMESPACE, claim("a")).unwrap();
    let options = DeleteOptions {
        propagation: Propagation::Foreground,
        ..DeleteOptions::default()
    };
    let deleted = store.delete(claims(), (NAMESPACE, "a"), &options).unwrap();
    assert!(matches!(deleted, Deleted::Lingering(_)));
    store
        .update(claims(), (NAMESPACE, "a"), Part::Main, |value| {
            value["metadata"]["finalizers"] = json!([]);
            Ok(())
        })
        .unwrap();
    assert!(store.get(claims(), NAMESPACE, "a").is_none());
}

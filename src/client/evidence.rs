//! What a cluster knows of a sandbox that people look at when something went wrong: what its Pod
//! wrote, the Events about it, the objects themselves.
//!
//! Each is asked anew. What is not there (a Pod that is gone, a container that has not started) is no
//! error: the text says so.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::cluster::Resource;
use super::core::Client;
use super::encode;
use super::error::{KubeError, Verb};
use crate::api::sandbox::Sandbox;

/// The most lines of a container's log, counted from its end.
const LINES: u32 = 1_000;
/// The most bytes of a container's log.
const BYTES: u32 = 1 << 20;
/// The most Events about one object.
const EVENTS: u32 = 500;

impl Client {
    /// The end of what each container of a sandbox's Pod wrote: at most 1,000 lines and 1 MiB each,
    /// with the container's name on a line before it.
    ///
    /// # Errors
    /// [`KubeError`]: the API server refuses (`pods` and `pods/log`: get) or fails.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn pod_logs(&self, sandbox: &str) -> Result<String, KubeError> {
        let name = self.pod_name(sandbox).await?;
        let pod: Value = match self.api().get(&self.pods(), &name).await {
            Ok(pod) => pod,
            Err(error) if error.is_not_found() => return Ok(format!("there is no Pod `{name}`\n")),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        for container in containers(&pod) {
            let path = format!(
                "{}/{}/log?container={}&tailLines={LINES}&limitBytes={BYTES}",
                self.pods().path(),
                encode::component(&name),
                encode::component(container),
            );
            let operation = self.pods().operation(Verb::Get, &name);
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "==> {name} {container} <==");
            match self.api().text(&path, &operation).await {
                Ok(log) => {
                    text.push_str(&log);
                    if !log.is_empty() && !log.ends_with('\n') {
                        text.push('\n');
                    }
                }
                // A container that waits to start has none; the others may.
                Err(error) if error.is_bad_request() => {
                    let _infallible = writeln!(text, "no log: {error}");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(text)
    }

    /// The Events about a claim, its sandbox and its Pod, oldest first, one per line.
    ///
    /// # Errors
    /// [`KubeError`]: the API server refuses (`events`: list) or fails.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn events(&self, claim: &str, sandbox: &str) -> Result<String, KubeError> {
        let pod = self.pod_name(sandbox).await?;
        let names = BTreeSet::from([claim, sandbox, &*pod]);
        let all = Resource {
            group: "",
            version: "v1",
            plural: "events",
        }
        .of(self.namespace());
        let mut lines = Vec::new();
        for name in names {
            let path = format!(
                "{}?limit={EVENTS}&fieldSelector={}",
                all.path(),
                encode::component(&format!("involvedObject.name={name}"))
            );
            let operation = all.operation(Verb::List, name);
            let list: Value = self.api().document(&path, operation).await?;
            lines.extend(list["items"].as_array().into_iter().flatten().map(line_of));
        }
        lines.sort();
        if lines.is_empty() {
            return Ok("there are no Events\n".to_owned());
        }
        Ok(lines.concat())
    }

    /// A claim, its sandbox and its Pod as the API server has them, as JSON documents.
    ///
    /// # Errors
    /// [`KubeError`]: the API server refuses (`sandboxclaims`, `sandboxes` and `pods`: get) or fails.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn objects(&self, claim: &str, sandbox: &str) -> Result<String, KubeError> {
        let pod = self.pod_name(sandbox).await?;
        let wanted = [
            (self.claims(), claim),
            (self.sandboxes(), sandbox),
            (self.pods(), &*pod),
        ];
        let mut text = String::new();
        for (from, name) in wanted {
            let found: Result<Value, KubeError> = self.api().get(&from, name).await;
            match found {
                // Writing to a string cannot fail.
                Ok(object) => {
                    let _infallible = writeln!(text, "{object:#}");
                }
                Err(error) if error.is_not_found() => {
                    let _infallible = writeln!(text, "\"{error}\"");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(text)
    }

    /// The name of a sandbox's Pod; the sandbox's own name where it is gone.
    async fn pod_name(&self, sandbox: &str) -> Result<String, KubeError> {
        let found: Result<Sandbox, KubeError> = self.api().get(&self.sandboxes(), sandbox).await;
        match found {
            Ok(found) => Ok(found.pod_name().to_owned()),
            Err(error) if error.is_not_found() => Ok(sandbox.to_owned()),
            Err(error) => Err(error),
        }
    }
}

/// The names of a Pod's containers, those that run first at the front.
fn containers(pod: &Value) -> impl Iterator<Item = &str> {
    let lists = ["initContainers", "containers"];
    let all = lists
        .into_iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten());
    all.filter_map(|container| container["name"].as_str())
}

/// `TIME TYPE REASON KIND/NAME: MESSAGE`.
fn line_of(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let times = ["lastTimestamp", "eventTime", "firstTimestamp"];
    let time = times.into_iter().find_map(|field| event[field].as_str());
    let object = &event["involvedObject"];
    let count = match event["count"].as_u64() {
        Some(count) if count > 1 => format!(" ({count} times)"),
        Some(_) | None => String::new(),
    };
    format!(
        "{} {} {} {}/{}: {}{count}\n",
        time.unwrap_or("-"),
        text(&event["type"]),
        text(&event["reason"]),
        text(&object["kind"]),
        text(&object["name"]),
        text(&event["message"]).replace('\n', " "),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_with_its_latest_time() {
        let event = json!({
            "lastTimestamp": null, "eventTime": "2026-01-02T03:04:05.000000Z", "count": 3,
            "type": "Warning", "reason": "Failed", "message": "no\nroom",
            "involvedObject": { "kind": "Pod", "name": "p" },
        });
        assert_eq!(
            line_of(&event),
            "2026-01-02T03:04:05.000000Z Warning Failed Pod/p: no room (3 times)\n"
        );
        assert_eq!(line_of(&json!({})), "-   /: \n");
    }

    #[test]
    fn containers_are_named_in_the_order_of_their_start() {
        let pod = json!({ "spec": { "containers": [{ "name": "b" }], "initContainers": [{ "name": "a" }] } });
        assert_eq!(containers(&pod).collect::<Vec<_>>(), ["a", "b"]);
    }
}

//! Every value of a plan and where it came from, for `--dry-run`.

use serde::Serialize;

use super::{Cell, Plan};
use crate::client::{ClaimSource, ConnectionMode};
use crate::expr::Secrets;
use crate::load::Warmup;
use crate::source::yaml::{self, Node};
use crate::source::{Problems, SourceFile, Span};
use crate::units::HumanDuration;

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// For example `target.namespace` or `--jobs`.
    pub name: String,
    /// As it is written.
    pub value: String,
    /// `flag`, `environment NAME`, a place in the file, `matrix` or `default`.
    pub from: String,
}

/// The values of one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CellSettings {
    /// Its name.
    pub cell: String,
    /// In the order of the language.
    pub settings: Vec<Setting>,
}

/// The values of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// The scenario file.
    pub file: String,
    /// Those of the whole run.
    pub settings: Vec<Setting>,
    /// Those of each cell.
    pub cells: Vec<CellSettings>,
}

/// Every value of a plan. `given` says where a setting (`vars.n`, `target.timeToLive`) comes from when
/// a flag or the environment decides it, and not the file.
pub fn effective(plan: &Plan, given: impl Fn(&str) -> Option<String>) -> Effective {
    let written = Written::of(&plan.file);
    let of = |cell| {
        let mut settings = of_cell(cell, plan, &written);
        for setting in &mut settings {
            if let Some(from) = given(&setting.name) {
                setting.from = from;
            }
        }
        settings
    };
    let vars = plan.vars.iter().map(|(name, value)| Setting {
        name: format!("vars.{name}"),
        value: value.clone(),
        from: given(&format!("vars.{name}")).unwrap_or_else(|| written.from(&[&["vars", name]])),
    });
    let cells = plan.cells.iter().map(|cell| CellSettings {
        cell: cell.name.clone(),
        settings: of(cell),
    });
    Effective {
        file: plan.file.path().to_owned(),
        settings: vars.collect(),
        cells: cells.collect(),
    }
}

/// What the file says, and where.
struct Written<'f> {
    file: &'f SourceFile,
    root: Option<Node>,
}

impl<'f> Written<'f> {
    fn of(file: &'f SourceFile) -> Self {
        // It was valid when the plan was made.
        let root = yaml::parse(file, &mut Problems::new());
        Self { file, root }
    }

    fn find(&self, path: &[&str]) -> Option<&Node> {
        let mut node = self.root.as_ref()?;
        for name in path {
            node = node.get(name)?;
        }
        Some(node)
    }

    /// The place of the first of these that is written.
    fn from(&self, paths: &[&[&str]]) -> String {
        let found = paths.iter().find_map(|path| self.find(path));
        found.map_or_else(|| "default".to_owned(), |node| self.at(node.span))
    }

    fn at(&self, span: Span) -> String {
        format!("{}:{}", self.file.path(), self.file.location(span.start))
    }
}

/// The settings of a cell as they are listed.
struct List<'c> {
    cell: &'c Cell,
    written: &'c Written<'c>,
    secrets: &'c Secrets,
    settings: Vec<Setting>,
}

impl List<'_> {
    fn add(&mut self, name: String, value: &dyn ToString, from: String) {
        self.settings.push(Setting {
            name,
            value: self.secrets.hide(&value.to_string()),
            from,
        });
    }

    /// A field of the target, which the scenario or the file may have.
    fn target(&mut self, field: &[&str], value: &dyn ToString) {
        let of_file = [&["target"], field].concat();
        let own = [&["scenarios", &*self.cell.scenario], &*of_file].concat();
        let from = self.written.from(&[&own, &of_file]);
        self.add(format!("target.{}", field.join(".")), value, from);
    }

    /// A field of the scenario.
    fn own(&mut self, field: &[&str], value: &dyn ToString) {
        let mut path = vec!["scenarios", &*self.cell.scenario];
        path.extend(field);
        let from = self.written.from(&[&path]);
        self.add(field.join("."), value, from);
    }
}

fn of_cell(cell: &Cell, plan: &Plan, written: &Written<'_>) -> Vec<Setting> {
    let mut list = List {
        cell,
        written,
        secrets: &plan.secrets,
        settings: Vec::new(),
    };
    for (axis, value) in &cell.matrix {
        list.add(format!("matrix.{axis}"), value, "matrix".to_owned());
    }
    target(&mut list);
    let time = HumanDuration;
    list.own(&["timeout"], &time(cell.timeout));
    list.own(&["retries"], &cell.retries);
    if let Some(start) = cell.start_time {
        list.own(&["startTime"], &time(start));
    }
    list.own(&["load"], &cell.load.model);
    let warmup = match cell.load.warmup {
        Warmup::None => "none".to_owned(),
        Warmup::Iterations(count) => count.to_string(),
        Warmup::Duration(duration) => time(duration).to_string(),
    };
    list.own(&["load", "warmup"], &warmup);
    list.own(&["load", "gracefulStop"], &time(cell.load.graceful_stop));
    if let Some(rounds) = &cell.rounds {
        list.own(&["compare", "rounds"], &rounds.count);
    }
    for (name, value) in &cell.tags {
        list.own(&["tags", name], value);
    }
    if let Some(feed) = &cell.data {
        let rows = feed.length().map_or_else(
            || "recycled".to_owned(),
            |rows| format!("{rows} iterations"),
        );
        list.own(&["data"], &rows);
    }
    for (threshold, _) in &cell.thresholds {
        let path = ["scenarios", &*cell.scenario, "thresholds"];
        let selector = threshold.selector.to_string();
        let own = [&path[..], &[&*selector]].concat();
        let of_file = ["thresholds", &*selector];
        let from = written.from(&[&own, &of_file, &path, &["thresholds"]]);
        list.add("threshold".to_owned(), threshold, from);
    }
    for (expected, span) in &cell.traces {
        list.add("traces.expect".to_owned(), expected, written.at(*span));
    }
    list.settings
}

fn target(list: &mut List<'_>) {
    let cell = list.cell;
    let target = &cell.target;
    list.target(&["namespace"], &cell.namespace);
    match &target.source {
        Some(ClaimSource::WarmPool(pool)) => list.target(&["warmPool"], pool),
        Some(ClaimSource::Template(template)) => list.target(&["template"], template),
        None => {}
    }
    if !cell.matrix.contains_key("mode") {
        list.target(&["mode"], &target.mode.word());
    }
    let port = match &target.mode {
        ConnectionMode::Gateway(gateway) => {
            list.target(&["gateway", "name"], &gateway.name);
            list.target(&["gateway", "namespace"], &gateway.namespace);
            Some(gateway.server_port)
        }
        ConnectionMode::Tunnel(tunnel) => {
            list.target(&["router", "namespace"], &tunnel.router_namespace);
            Some(tunnel.server_port)
        }
        ConnectionMode::Direct(direct) => {
            list.target(&["apiUrl"], &direct.url);
            Some(direct.server_port)
        }
        ConnectionMode::InCluster(settings) => Some(settings.server_port),
        ConnectionMode::InClusterPodIp(settings) => Some(settings.server_port),
        ConnectionMode::PodTunnel(_) => None,
    };
    if let Some(port) = port {
        list.target(&["serverPort"], &port);
    }
    list.target(&["readyTimeout"], &HumanDuration(target.ready_timeout));
    list.target(&["timeToLive"], &HumanDuration(target.time_to_live));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{Overrides, resolve};
    use crate::scenario::parse;

    const FILE: &str = "version: 1\nname: t\nvars: { n: 1 }\ntarget: { warmPool: p, readyTimeout: 5s }\n\
        scenarios:\n  a:\n    matrix: { mode: [tunnel] }\n    target: { serverPort: 99 }\n\
        \x20   load: { vus: 2, iterations: 4 }\n    thresholds: { failures: rate < 1% }\n    steps:\n\
        \x20     - create: {}\n      - exec: echo ${{ vars.n }}\n";

    #[test]
    fn every_value_says_where_it_came_from() {
        let file = Arc::new(SourceFile::from_text("t.yaml", FILE));
        let document = parse(&file).0.expect("valid");
        let plan = resolve(&document, &file, &Overrides::default()).expect("a plan");
        let all = effective(&plan, |_| None);
        let from = |name: &str| {
            let mut settings = all.settings.iter().chain(&all.cells[0].settings);
            let found = settings.find(|setting| setting.name == name);
            found.map(|setting| (setting.value.as_str(), setting.from.as_str()))
        };
        assert_eq!(from("vars.n"), Some(("1", "t.yaml:3:12")));
        assert_eq!(from("matrix.mode"), Some(("tunnel", "matrix")));
        assert_eq!(from("target.warmPool"), Some(("p", "t.yaml:4:21")));
        assert_eq!(from("target.serverPort"), Some(("99", "t.yaml:8:27")));
        assert_eq!(from("target.namespace"), Some(("default", "default")));
        assert_eq!(from("load"), Some(("2 VUs", "t.yaml:9:11")));
        assert_eq!(from("load.gracefulStop"), Some(("30s", "default")));
        assert_eq!(from("timeout"), Some(("5m", "default")));
        assert_eq!(
            from("threshold"),
            Some(("failures: rate < 1%", "t.yaml:10:29"))
        );
        assert_eq!(from("target.timeToLive"), Some(("15m", "default")));
        let given = effective(&plan, |name| {
            ["vars.n", "target.timeToLive"]
                .contains(&name)
                .then(|| format!("flag for {name}"))
        });
        assert_eq!(given.settings[0].from, "flag for vars.n");
        let settings = &given.cells[0].settings;
        let named: Vec<&str> = settings
            .iter()
            .filter(|setting| setting.from.starts_with("flag"))
            .map(|setting| setting.name.as_str())
            .collect();
        assert_eq!(named, ["target.timeToLive"]);
    }
}

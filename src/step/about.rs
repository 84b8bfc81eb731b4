//! [`About`]: what is said of each action in one place: its key, its forms, its outputs, its example.
//!
//! The decoder, the checks of `expect` and `capture`, the JSON Schema and `explain` read this table.

use super::{
    Action, Collect, Connect, Create, Delete, DeleteFile, Disconnect, Exec, Exists, Group, Http,
    List, Parallel, Read, Resume, Script, Sleep, Suspend, Use, Wait, Write,
};
use crate::expr::Output;
use crate::source::{Field, Takes};

/// What is said of an action.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its key in a step.
    pub kind: &'static str,
    /// What it does, in a sentence or two.
    pub what: &'static str,
    /// What stands after the key.
    pub takes: Takes,
    /// Fields that stand beside the key, and only with this action.
    pub beside: &'static [Field],
    /// What it gives.
    pub outputs: &'static [Output],
    /// A whole scenario file, as small as possible.
    pub example: &'static str,
}

/// The table: for each action its key, its type and what it does.
macro_rules! actions {
    ($($kind:literal => $action:ident, $beside:expr, $what:literal;)*) => {
        const ALL: &[About] = &[$(About {
            kind: $kind,
            what: $what,
            takes: $action::TAKES,
            beside: $beside,
            outputs: $action::OUTPUTS,
            example: include_str!(concat!("../../scenarios/steps/", $kind, ".yaml")),
        }),*];
        const KINDS: &[&str] = &[$($kind),*];
    };
}

/// The steps in a step.
const STEPS: &[Field] = &[Field::required(
    "steps",
    Takes::Steps,
    "the steps in it, at least one",
)];

actions! {
    "create" => Create, &[],
        "Asks for a sandbox, waits until it is Ready and connects to it.";
    "connect" => Connect, &[],
        "Finds the claim again and connects to its sandbox, as a second process would.";
    "disconnect" => Disconnect, &[],
        "Drops the connection; claim and sandbox stay.";
    "exec" => Exec, &[],
        "Runs a command and waits for its end. An exit code other than 0 fails the step, unless \
         `expect` names `exitCode`. Never repeated by itself.";
    "write" => Write, &[],
        "Writes a file: given content, or bytes made from a seed.";
    "read" => Read, &[],
        "Reads a file.";
    "list" => List, &[],
        "Lists a directory.";
    "exists" => Exists, &[],
        "Asks whether a file or directory exists.";
    "deleteFile" => DeleteFile, &[],
        "Deletes a file or a directory. Only the runtime sandboxd can; elsewhere the cell is not \
         applicable.";
    "suspend" => Suspend, &[],
        "Ends the sandbox's Pod and waits until the controller says so; claim, name and volumes stay.";
    "resume" => Resume, &[],
        "Starts a suspended sandbox again, waits until it is Ready and connects.";
    "delete" => Delete, &[],
        "Deletes the claim and with it the sandbox; `wait: gone` waits for the end. Not needed for \
         the clean-up.";
    "wait" => Wait, &[],
        "Waits on the shared watch until the sandbox is ready, or gone.";
    "sleep" => Sleep, &[],
        "Waits for a time, the same or drawn anew.";
    "http" => Http, &[],
        "Sends one HTTP request. A status of 400 and above fails the step, unless `expect` names \
         `status`.";
    "script" => Script, &[],
        "Runs a local program in the directory of the scenario file. An exit code other than 0 fails \
         the step, unless `expect` names `exitCode`.";
    "collect" => Collect, &[],
        "Collects what the cluster knows of the iteration's sandboxes: what their Pods wrote, Events, \
         objects. The end of each text is in the result; with `--artifacts DIR` all of it is a file. \
         Mostly in `finally`, with `if: iteration.failed`.";
    "group" => Group, STEPS,
        "Steps that belong together, in order; their time together is `group_duration`.";
    "parallel" => Parallel, STEPS,
        "Steps that run at the same time; it ends when the last of them does.";
    "use" => Use, Use::BESIDE,
        "The steps of another scenario, `file.yaml#scenario`, or `\"#scenario\"` of this file: its \
         `steps` alone, with the `vars` of its file. The sandboxes are shared; other names are not: \
         `with` gives values, and `capture` takes some out (`{ token: vars.token }`).";
}

impl Action {
    /// The key of every action, in the order of the reference.
    pub const KINDS: &'static [&'static str] = KINDS;

    /// Everything about every action, in the order of [`Action::KINDS`].
    pub const ALL: &'static [About] = ALL;

    /// Everything about the action with this key.
    pub fn about(kind: &str) -> Option<&'static About> {
        ALL.iter().find(|about| about.kind == kind)
    }

    /// The outputs of the action with this key; none of a stranger.
    pub fn outputs_of(kind: &str) -> &'static [Output] {
        Self::about(kind).map_or(&[], |about| about.outputs)
    }
}

//! How an image is built.

use std::collections::BTreeMap;

use serde_json::Value;

use super::invalid::Invalid;
use super::pairs::{Environment, Hosts, Pairs};
use super::record::{Field, Form, record, wrong_kind};
use super::scalar::Bytes;
use super::{FileMount, Ulimit};
use crate::node::Node;

record! {
    /// `build`.
    pub struct Build {
        /// An absolute path, a URL, or `service:NAME`.
        pub context: String => "context",
        /// Relative to the context.
        pub dockerfile: String => "dockerfile",
        /// The Dockerfile itself.
        pub dockerfile_inline: String => "dockerfile_inline",
        pub entitlements: Vec<String> => "entitlements",
        pub args: Environment => "args",
        /// `true`, `false` or `mode=…`.
        pub provenance: String => "provenance",
        pub sbom: String => "sbom",
        pub ssh: SshKeys => "ssh",
        pub labels: Pairs => "labels",
        pub cache_from: Vec<String> => "cache_from",
        pub cache_to: Vec<String> => "cache_to",
        pub no_cache: bool => "no_cache",
        pub no_cache_filter: Vec<String> => "no_cache_filter",
        pub additional_contexts: Pairs => "additional_contexts",
        pub pull: bool => "pull",
        pub extra_hosts: Hosts => "extra_hosts",
        pub isolation: String => "isolation",
        pub network: String => "network",
        pub target: String => "target",
        pub secrets: Vec<FileMount> => "secrets",
        pub shm_size: Bytes => "shm_size",
        pub tags: Vec<String> => "tags",
        pub ulimits: BTreeMap<String, Option<Ulimit>> => "ulimits",
        pub platforms: Vec<String> => "platforms",
        pub privileged: bool => "privileged",
    }
}

/// The keys and agents of `ssh`, by their ids; one without a path is the agent of the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshKeys(pub BTreeMap<String, Option<String>>);

impl Field for SshKeys {
    fn read(node: &Node) -> Result<Self, Invalid> {
        let Some(map) = node.as_map() else { return Err(wrong_kind(node, "a mapping")) };
        let key = |(id, entry): (&str, &crate::node::Entry)| {
            let path = entry.node.scalar().filter(|path| !path.is_empty());
            (id.to_owned(), path)
        };
        Ok(Self(map.iter().map(key).collect()))
    }

    fn write(&self, form: Form) -> Value {
        let separator = if form == Form::Yaml { ": " } else { "=" };
        let line = |(id, path): (&String, &Option<String>)| match path {
            None => id.clone(),
            Some(path) => format!("{id}{separator}{path}"),
        };
        self.0.iter().map(line).collect::<Vec<_>>().into()
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0.is_empty()
    }
}

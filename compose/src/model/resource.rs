//! The other top-level resources: volumes, configs, secrets, models.

use std::collections::BTreeMap;

use serde_json::Value;

use super::invalid::Invalid;
use super::pairs::Pairs;
use super::record::{Field, Form, record};
use crate::node::Node;

record! {
    /// One of the top-level `volumes`.
    pub struct Volume {
        /// The name outside of the project: `PROJECT_KEY` where the file gives none.
        pub name: String => "name",
        pub driver: String => "driver",
        pub driver_opts: Pairs => "driver_opts",
        /// Made by somebody else, and expected to be there.
        pub external: bool => "external",
        pub labels: Pairs => "labels",
    }

    /// One of the top-level `configs` or `secrets`: a file that services can have.
    pub struct FileObject {
        pub name: String => "name",
        /// An absolute path of the host.
        pub file: String => "file",
        /// The variable that holds the content.
        pub environment: String => "environment",
        /// The content, from the file itself or from the variable.
        pub content: String => "content",
        pub external: bool => "external",
        pub labels: Pairs => "labels",
        pub driver: String => "driver",
        pub driver_opts: BTreeMap<String, String> => "driver_opts",
        pub template_driver: String => "template_driver",
    }

    /// One of the top-level `models`.
    pub struct Model {
        pub name: String => "name",
        pub model: String => "model",
        pub context_size: i64 => "context_size",
        pub runtime_flags: Vec<String> => "runtime_flags",
    }

    /// A model that a service uses.
    pub struct ModelUse {
        pub endpoint_var: String => "endpoint_var",
        pub model_var: String => "model_var",
    }
}

/// A secret: never written with its content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Secret(pub FileObject);

/// A config: written with its content, unless that comes from a variable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config(pub FileObject);

impl Secret {
    /// The key under which the loader keeps the value of a secret's variable; no file can have it.
    pub const CONTENT: &str = "x-#value";
}

impl Field for Secret {
    fn read(node: &Node) -> Result<Self, Invalid> {
        let mut object = FileObject::read(node)?;
        if let Some(Value::String(content)) = object.extensions.remove(Self::CONTENT) {
            object.content = content;
        }
        Ok(Self(object))
    }

    fn write(&self, form: Form) -> Value {
        FileObject { content: String::new(), ..self.0.clone() }.write(form)
    }
}

impl Field for Config {
    fn read(node: &Node) -> Result<Self, Invalid> {
        FileObject::read(node).map(Self)
    }

    fn write(&self, form: Form) -> Value {
        if self.0.environment.is_empty() {
            return self.0.write(form);
        }
        FileObject { content: String::new(), ..self.0.clone() }.write(form)
    }
}

//! Projects as text: byte for byte what `docker compose config` prints.

mod yaml;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::model::{Field, Form, Network, Project, Service, Volume, plain};
use crate::node::Node;
use crate::order::sorted;

/// How a project is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

/// A project. A `$` is doubled, so that the text can be loaded again.
pub fn project(project: &Project, format: Format) -> String {
    let text = match format {
        Format::Json => json(&document(project, Form::Json)),
        Format::Yaml => yaml::write(&document(project, Form::Yaml)),
    };
    text.replace('$', "$$")
}

/// A tree, with its variables as they are.
pub fn tree(root: &Node, format: Format) -> String {
    match format {
        Format::Json => json(&plain(root)),
        Format::Yaml => yaml::write(&sorted(plain(root))),
    }
}

/// Any value, in YAML.
pub fn value(value: &Value) -> String {
    yaml::write(value)
}

/// The project as a document.
pub fn document(project: &Project, form: Form) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, empty: bool, value: Value| {
        if !empty {
            map.insert(key.to_owned(), value);
        }
    };
    let Project { name, services, networks, volumes, secrets, configs, models, .. } = project;
    put("name", name.is_empty() && form == Form::Yaml, name.clone().into());
    put("services", false, services.write(form));
    put("networks", networks.is_empty(), networks.write(form));
    put("volumes", volumes.is_empty(), volumes.write(form));
    put("secrets", secrets.is_empty(), secrets.write(form));
    put("configs", configs.is_empty(), configs.write(form));
    if form == Form::Yaml {
        put("models", models.is_empty(), models.write(form));
    }
    for (key, value) in &project.extensions {
        map.insert(key.clone(), sorted(value.clone()));
    }
    if form == Form::Json {
        map.sort_keys();
    }
    Value::Object(map)
}

/// JSON as Go writes it.
fn json(value: &Value) -> String {
    escaped(format!("{value:#}"))
}

/// JSON in which `<`, `>` and `&` are escaped, as Go does for browsers.
fn escaped(text: String) -> String {
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// The hash by which Compose knows whether a container is as its service says: of all that makes a difference to a
/// container, which neither the build nor the scale nor dependencies do.
pub fn service_hash(service: &Service) -> String {
    let mut service = service.clone();
    service.build = None;
    service.pull_policy.clear();
    service.scale = None;
    service.depends_on.clear();
    service.profiles.clear();
    if let Some(deploy) = &mut service.deploy {
        deploy.replicas = None;
    }
    hash(&service)
}

/// The hash by which Compose knows whether a network is as the file says.
pub fn network_hash(network: &Network) -> String {
    hash(network)
}

/// The hash by which Compose knows whether a volume is as the file says.
pub fn volume_hash(volume: &Volume) -> String {
    let mut volume = volume.clone();
    if volume.driver.is_empty() {
        volume.driver = "local".into();
    }
    hash(&volume)
}

fn hash(value: &impl Field) -> String {
    let text = escaped(value.write(Form::Json).to_string());
    hex::encode(Sha256::digest(text.as_bytes()))
}

//! Provenance: what a variant was built from, in the words of SLSA 0.2 or 1.0, as BuildKit fills them in.

use super::package_url;
use crate::build::Error;
use crate::build::execute::Build;
use crate::build::options::{Context, Provenance};
use crate::build::output::Variant;
use crate::build::plan::{Base, BaseImage, VariantPlan};
use knarr_core::image::Reference;
use serde_json::{Map, Value, json};

pub const SLSA_02: &str = "https://slsa.dev/provenance/v0.2";
pub const SLSA_1: &str = "https://slsa.dev/provenance/v1";

const BUILD_TYPE: &str = "https://mobyproject.org/buildkit@v1";
const BUILD_TYPE_1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";

/// The predicate of a variant.
pub fn predicate(build: &Build, variant: &Variant) -> Result<Value, Error> {
    let wanted = build.options.attestations.provenance.unwrap_or_default();
    let started = build.started();
    let finished = build.created();
    let materials = materials(build, variant.plan);
    let id = invocation_id(build, variant);
    let predicate = match wanted.slsa_v1 {
        false => json!({
            "builder": {"id": ""},
            "buildType": BUILD_TYPE,
            "materials": materials,
            "invocation": {
                "configSource": config_source(build),
                "parameters": parameters(build, wanted),
                "environment": {"platform": platform(build)},
            },
            "buildConfig": if wanted.max { steps(variant) } else { Value::Null },
            "metadata": {
                "buildInvocationID": id,
                "buildStartedOn": started,
                "buildFinishedOn": finished,
                "completeness": {"parameters": true, "environment": true, "materials": false},
                "reproducible": false,
            },
        }),
        true => json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE_1,
                "externalParameters": {
                    "configSource": config_source(build),
                    "request": parameters(build, wanted),
                },
                "internalParameters": {
                    "builderPlatform": platform(build),
                    "buildConfig": if wanted.max { steps(variant) } else { Value::Null },
                },
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": {"id": ""},
                "metadata": {"invocationId": id, "startedOn": started, "finishedOn": finished},
            },
        }),
    };
    Ok(without_nulls(predicate))
}

/// Of the machine.
fn platform(build: &Build) -> String {
    let native = build.options.runnable.native.first();
    native.map_or_else(|| knarr_core::image::Platform::host().to_string(), ToString::to_string)
}

/// Base images, and images that files were copied from.
fn materials(build: &Build, plan: &VariantPlan) -> Vec<Value> {
    let bases = plan.stages.iter().filter_map(|stage| match &stage.base {
        Base::Image(image) => Some(&**image),
        _ => None,
    });
    let mut materials: Vec<Value> = Vec::new();
    for image in bases.chain(&plan.images) {
        let material = material(image);
        if !materials.contains(&material) {
            materials.push(material);
        }
    }
    if let (Context::Git(url), Some(commit)) = (&build.options.context, &build.context.commit) {
        materials.push(json!({"uri": url, "digest": {"sha1": commit}}));
    }
    materials
}

fn material(image: &BaseImage) -> Value {
    let uri = match image.reference.parse::<Reference>() {
        Ok(reference) => package_url(&reference, &image.platform),
        Err(_) => image.reference.clone(),
    };
    json!({"uri": uri, "digest": {image.digest.algorithm().as_ref(): image.digest.digest()}})
}

fn config_source(build: &Build) -> Value {
    let entry = build.dockerfile_name.as_str();
    match (&build.options.context, &build.context.commit) {
        (Context::Git(url), Some(commit)) => {
            json!({"uri": url, "digest": {"sha1": commit}, "entryPoint": entry})
        }
        _ => json!({"entryPoint": entry}),
    }
}

/// Values of arguments may be secret: only `mode=max` tells them.
fn parameters(build: &Build, wanted: Provenance) -> Value {
    let options = build.options;
    let mut args = Map::new();
    if let Some(target) = &options.target {
        args.insert("target".into(), json!(target));
    }
    if wanted.max {
        for (name, value) in &options.args {
            args.insert(format!("build-arg:{name}"), json!(value));
        }
        for (name, value) in &options.labels {
            args.insert(format!("label:{name}"), json!(value));
        }
    }
    let secrets: Vec<Value> =
        options.secrets.keys().map(|id| json!({"id": id, "optional": true})).collect();
    let ssh: Vec<Value> =
        options.ssh.keys().map(|id| json!({"id": id, "optional": true})).collect();
    json!({
        "frontend": "dockerfile.v0",
        "args": if args.is_empty() { Value::Null } else { args.into() },
        "secrets": if wanted.max && !secrets.is_empty() { secrets.into() } else { Value::Null },
        "ssh": if wanted.max && !ssh.is_empty() { ssh.into() } else { Value::Null },
        "locals": [{"name": "context"}, {"name": "dockerfile"}],
    })
}

/// Every step, and the layer it made.
fn steps(variant: &Variant) -> Value {
    let mut steps = Vec::new();
    for (stage, state) in variant.plan.stages.iter().zip(&variant.finished.stages) {
        let own: Vec<&str> = stage.steps.iter().map(|step| step.name.as_str()).collect();
        let layers: Vec<String> =
            state.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        steps.push(json!({
            "stage": stage.label(),
            "platform": stage.platform.to_string(),
            "steps": own,
            "layers": layers,
        }));
    }
    json!({"stages": steps})
}

/// With a fixed time everything is fixed; otherwise each build has an id of its own.
fn invocation_id(build: &Build, variant: &Variant) -> String {
    let seed = match build.clock.epoch {
        Some(epoch) => {
            let chain = variant.finished.target().chain().map(ToString::to_string);
            format!("{epoch} {}", chain.unwrap_or_default())
        }
        None => knarr_core::sys::random_name(),
    };
    knarr_core::store::digest_of(seed.as_bytes()).digest()[..25].to_owned()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(list) => list.into_iter().map(without_nulls).collect::<Vec<_>>().into(),
        other => other,
    }
}

//! Every case beside what Docker Compose 2.40.3 says about it: see `compare.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use knarr_compose::load::{self, Error, Options, Skip};
use knarr_compose::model::Project;
use knarr_compose::render::{self, Format};
use serde_json::{Value, json};

/// A folder of `tests/cases`, copied to where nothing else is.
pub struct Case {
    source: PathBuf,
    pub folder: PathBuf,
    meta: Value,
    _kept: tempfile::TempDir,
}

pub fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let list = |folder: &Path| -> Vec<PathBuf> {
        let names = knarr_core::fsx::list(folder).unwrap();
        names.into_iter().map(|name| folder.join(name)).filter(|path| path.is_dir()).collect()
    };
    list(&root).iter().flat_map(|subject| list(subject)).collect()
}

fn copy(from: &Path, to: &Path) {
    knarr_core::fsx::create_dir(to).unwrap();
    for name in knarr_core::fsx::list(from).unwrap() {
        let (source, target) = (from.join(&name), to.join(&name));
        if source.is_dir() {
            copy(&source, &target);
        } else if !["case.json", "expected.json"].contains(&name.as_str()) {
            knarr_core::fsx::write(&target, knarr_core::fsx::read(&source).unwrap()).unwrap();
        }
    }
}

impl Case {
    pub fn new(source: &Path) -> Self {
        let kept = tempfile::tempdir().unwrap();
        let folder = kept.path().canonicalize().unwrap().join("case");
        copy(source, &folder);
        let meta = knarr_core::fsx::read_optional(&source.join("case.json")).unwrap();
        let meta = meta.map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
        Self { source: source.to_owned(), folder, meta, _kept: kept }
    }

    fn words(&self, key: &str) -> Vec<String> {
        let list = self.meta[key].as_array().cloned().unwrap_or_default();
        list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    fn options(&self) -> Options {
        let mut options = Options {
            current: self.folder.clone(),
            services: self.words("services"),
            ..Options::default()
        };
        options.environment.insert("HOME".into(), "/home/me".into());
        for (name, value) in self.meta["env"].as_object().into_iter().flatten() {
            options.environment.insert(name.clone(), value.as_str().unwrap().to_owned());
        }
        let mut words = self.words("args").into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-f" => options.files.extend(words.next()),
                "-p" => options.name = words.next(),
                "--profile" => options.profiles.extend(words.next()),
                "--env-file" => options.env_files.extend(words.next()),
                "--project-directory" => options.directory = words.next().map(PathBuf::from),
                "--all-resources" => options.all_resources = true,
                "--compatibility" => options.skip.normalisation = true,
                other => panic!("{other}"),
            }
        }
        let skip = |name: &str| self.words("config").iter().any(|word| word == name);
        options.skip = Skip {
            interpolation: skip("--no-interpolate"),
            normalisation: options.skip.normalisation || skip("--no-normalize"),
            consistency: skip("--no-consistency"),
            paths: skip("--no-path-resolution"),
            environment: false,
        };
        options
    }

    /// What the loader says, in the form of `expected.json`.
    pub fn actual(&self) -> Result<Value, Error> {
        let options = self.options();
        let mut result = BTreeMap::new();
        let up = self.folder.parent().unwrap().display().to_string();
        let here = self.folder.display().to_string();
        let text = |text: String| text.replace(&here, "@DIR@").replace(&up, "@UP@");
        if options.skip.interpolation {
            let tree = load::tree(&options)?;
            let json = text(render::tree(&tree.root, Format::Json));
            result.insert("config", serde_json::from_str(&json).unwrap());
            result.insert("yaml", text(render::tree(&tree.root, Format::Yaml)).into());
            return Ok(json!(result));
        }
        let project = load::load(&options)?.project;
        let json = text(render::project(&project, Format::Json));
        result.insert("config", serde_json::from_str(&json).unwrap());
        result.insert("yaml", text(render::project(&project, Format::Yaml)).into());
        if self.meta["config"].is_null() {
            let skip = Skip { environment: true, ..options.skip };
            let whole = Options { skip, services: Vec::new(), ..options.clone() };
            result.insert("hash", hashes(&load::load(&whole)?.project));
        }
        if self.meta["lists"] == true {
            let names: Vec<&String> = project.services.keys().collect();
            result.insert("services", json!(names));
            result.insert("volumes", json!(project.volumes.keys().collect::<Vec<_>>()));
            result.insert("networks", json!(project.networks.keys().collect::<Vec<_>>()));
            let image = |service: &knarr_compose::model::Service| {
                service.image_or_default(&project.name, '-')
            };
            let mut images: Vec<String> = project.services.values().map(image).collect();
            images.sort();
            result.insert("images", json!(images));
            result.insert("profiles", json!(project.profile_names()));
        }
        Ok(json!(result))
    }
}

/// Compose's hashes of services.
fn hashes(project: &Project) -> Value {
    project
        .services
        .iter()
        .map(|(name, s)| (name.clone(), json!(render::service_hash(s))))
        .collect()
}

fn compare(case: &Case) -> Result<(), String> {
    let name = case.source.file_name().unwrap().to_string_lossy().into_owned();
    let expected = knarr_core::fsx::read_optional(&case.source.join("expected.json")).unwrap();
    match (case.actual(), expected) {
        (Err(_), None) if name.ends_with("-error") => Ok(()),
        (Ok(_), None) => Err("no error".into()),
        (Err(error), _) => Err(error.to_string()),
        (Ok(actual), Some(expected)) => {
            let expected: Value = serde_json::from_slice(&expected).unwrap();
            let mut wrong = Vec::new();
            for (key, value) in expected.as_object().unwrap() {
                if actual[key] == *value {
                    continue;
                }
                let show = |value: &Value| match value.as_str() {
                    Some(text) => text.to_owned(),
                    None => format!("{value:#}"),
                };
                wrong.push(format!(
                    "{key}:\n{}\n-- instead of --\n{}",
                    show(&actual[key]),
                    show(value)
                ));
            }
            if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
        }
    }
}

#[test]
fn projects_are_loaded_as_docker_compose_does() {
    let folders = folders();
    assert!(folders.len() >= 200, "{}", folders.len());
    let mut wrong = Vec::new();
    for folder in folders {
        let case = Case::new(&folder);
        if let Err(problem) = compare(&case) {
            wrong.push(format!("=== {}\n{problem}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

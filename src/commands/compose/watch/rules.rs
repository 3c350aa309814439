//! What `develop.watch` says is to happen when a file changes.

use crate::error::Failure;
use crate::ui;
use crate::wiring::compose::sync::Changed;
use knarr_compose::model::{Hook, Project, Service, Trigger};
use knarr_core::fsx;
use knarr_packager::dockerfile::ignore::Ignore;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What editors and version control leave beside the files that are meant.
const FLEETING: [&str; 14] = [
    "**/.git",
    "**/.idea",
    "**/*___jb_old___",
    "**/*___jb_tmp___",
    "**/.#*",
    "**/#*#",
    "**/4913",
    "**/*~",
    "**/.*.swp",
    "**/.*.swx",
    "**/.*.swo",
    "**/.*.swn",
    "**/*.kate-swp",
    "**/*-go-tmp-umask",
];

/// One of a service's triggers.
pub struct Rule {
    pub service: String,
    trigger: Trigger,
    /// Where the files are, without links: events come by such paths.
    pub path: PathBuf,
    include: Ignore,
    ignore: Ignore,
    fleeting: Ignore,
    /// The folder of the build, and what its `.dockerignore` leaves out.
    context: Option<(PathBuf, Ignore)>,
}

/// What is to be done about one service.
#[derive(Default)]
pub struct Work {
    pub rebuild: bool,
    pub restart: bool,
    /// By folder of the container.
    pub sync: BTreeMap<String, Changed>,
    pub exec: Vec<Hook>,
}

impl Work {
    fn is_nothing(&self) -> bool {
        !self.rebuild && !self.restart && self.sync.is_empty() && self.exec.is_empty()
    }
}

/// The triggers of these services, or of all.
pub fn of(project: &Project, services: &[String]) -> Result<Vec<Rule>, Failure> {
    let mut rules = Vec::new();
    for service in project.services.values() {
        if !services.is_empty() && !services.contains(&service.name) {
            continue;
        }
        let context = context(service)?;
        for trigger in service.develop.iter().flat_map(|develop| &develop.watch) {
            rules.extend(rule(service, trigger, context.clone())?);
        }
    }
    Ok(rules)
}

fn rule(
    service: &Service,
    trigger: &Trigger,
    context: Option<(PathBuf, Ignore)>,
) -> Result<Option<Rule>, Failure> {
    let name = &service.name;
    if trigger.action == "rebuild" && service.build.is_none() {
        let what = format!("services.{name}.develop.watch: 'rebuild' needs a 'build' section");
        return Err(Failure::usage(what).hint("name what the image is built from, or use sync"));
    }
    let path = Path::new(&trigger.path);
    let Ok(real) = path.canonicalize() else {
        return Err(Failure::new(format!(
            "services.{name}.develop.watch: {} does not exist",
            trigger.path
        )));
    };
    let mut binds = service.volumes.iter().filter(|volume| volume.kind == "bind");
    if trigger.action.starts_with("sync") && binds.any(|bind| path.starts_with(&bind.source)) {
        ui::warning(format_args!(
            "{name}: {} is mounted into the container, and is not watched",
            trigger.path
        ));
        return Ok(None);
    }
    let patterns = |patterns: &[String]| {
        Ignore::new(patterns.iter().map(String::as_str)).map_err(|error| {
            Failure::usage(error.to_string()).context(format!("services.{name}.develop.watch"))
        })
    };
    Ok(Some(Rule {
        service: name.clone(),
        trigger: trigger.clone(),
        path: real,
        include: patterns(&trigger.include)?,
        ignore: patterns(&trigger.ignore)?,
        fleeting: patterns(&FLEETING.map(str::to_owned))?,
        context,
    }))
}

/// The build's folder and the rules of its `.dockerignore`, or of the one beside the Dockerfile.
fn context(service: &Service) -> Result<Option<(PathBuf, Ignore)>, Failure> {
    let Some(build) = &service.build else { return Ok(None) };
    let Ok(folder) = Path::new(&build.context).canonicalize() else { return Ok(None) };
    let dockerfile = if build.dockerfile.is_empty() { "Dockerfile" } else { &build.dockerfile };
    for name in [format!("{dockerfile}.dockerignore"), ".dockerignore".to_owned()] {
        let path = folder.join(name);
        if path.is_file() {
            let rules = Ignore::parse(&fsx::read(&path)?, &path.display().to_string())?;
            return Ok(Some((folder, rules)));
        }
    }
    Ok(None)
}

impl Rule {
    /// Whether the files are to be copied before anything changes.
    pub fn is_initial(&self) -> bool {
        self.trigger.initial_sync && self.trigger.action.starts_with("sync")
    }

    /// The path below the rule's, if the rule is about it.
    fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let below = path.strip_prefix(&self.path).ok()?;
        let text = below.to_string_lossy();
        if let Some((folder, rules)) = &self.context
            && let Ok(path) = path.strip_prefix(folder)
            && rules.is_ignored(&path.to_string_lossy())
        {
            return None;
        }
        let is_ignored = |rules: &Ignore| !text.is_empty() && rules.is_ignored(&text);
        (!is_ignored(&self.ignore) && !is_ignored(&self.fleeting)).then_some(below)
    }

    fn is_included(&self, below: &Path) -> bool {
        let text = below.to_string_lossy();
        text.is_empty() || self.include.is_empty() || self.include.is_ignored(&text)
    }

    /// Whether something may be meant that is in a folder which is not.
    fn has_exceptions(&self) -> bool {
        self.ignore.has_exceptions()
            || self.context.as_ref().is_some_and(|(_, rules)| rules.has_exceptions())
    }

    /// Adds what a change of a path asks for.
    fn add(&self, path: &Path, work: &mut Work) {
        let kind = path.symlink_metadata().map(|metadata| metadata.file_type()).ok();
        let below = self.below(path);
        if kind.is_some_and(|kind| kind.is_dir()) && (below.is_some() || self.has_exceptions()) {
            // what was in a new folder before it was watched
            for name in fsx::list(path).unwrap_or_default() {
                self.add(&path.join(name), work);
            }
        }
        let Some(below) = below.filter(|below| self.is_included(below)) else { return };
        let action = self.trigger.action.as_str();
        match action {
            "rebuild" => work.rebuild = true,
            "restart" => work.restart = true,
            _ => {
                let (folder, name) = self.place(below);
                let changed = work.sync.entry(folder).or_default();
                match kind {
                    // a folder that everything is copied to is there
                    _ if name.as_os_str().is_empty() => {}
                    None => {
                        changed.gone.insert(name);
                    }
                    Some(kind) if kind.is_dir() || kind.is_file() || kind.is_symlink() => {
                        changed.there.insert(name, path.to_owned());
                    }
                    Some(_) => {}
                }
                work.restart |= action == "sync+restart";
                let hook = &self.trigger.exec;
                if action == "sync+exec" && !work.exec.contains(hook) {
                    work.exec.push(hook.clone());
                }
            }
        }
    }

    /// The folder of the container, and the path in it.
    fn place(&self, below: &Path) -> (String, PathBuf) {
        let target = Path::new(&self.trigger.target);
        match (below.as_os_str().is_empty() && !self.path.is_dir(), target.file_name()) {
            (true, Some(name)) => {
                let folder = target.parent().unwrap_or(Path::new("/"));
                (folder.to_string_lossy().into_owned(), PathBuf::from(name))
            }
            _ => (self.trigger.target.clone(), below.to_owned()),
        }
    }
}

/// What is to be done when these paths have changed, by service.
pub fn work(rules: &[Rule], paths: &BTreeSet<PathBuf>) -> BTreeMap<String, Work> {
    let mut all: BTreeMap<String, Work> = BTreeMap::new();
    for rule in rules {
        let work = all.entry(rule.service.clone()).or_default();
        paths.iter().for_each(|path| rule.add(path, work));
    }
    all.retain(|_, work| !work.is_nothing());
    all
}

/// What is to be copied before anything changes.
pub fn initial(rules: &[Rule]) -> BTreeMap<String, Work> {
    let mut all: BTreeMap<String, Work> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.is_initial()) {
        rule.add(&rule.path, all.entry(rule.service.clone()).or_default());
    }
    for work in all.values_mut() {
        // nothing of the container's is older than what it has just got
        (work.restart, work.exec) = (false, Vec::new());
    }
    all.retain(|_, work| !work.is_nothing());
    all
}

//! What all verbs of `knarr compose` take: which project, and how to talk about it.

use crate::args::usage::switch_value;
use crate::error::Failure;
use crate::ui;
use crate::ui::compose::How;
use knarr_compose::load::{self, Loaded, Options, Skip};
use knarr_compose::model::Project;
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Global {
    /// A compose file, or - for standard input; several go on top of each other
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    files: Vec<String>,
    /// The project's name
    #[arg(short = 'p', long, value_name = "NAME")]
    project_name: Option<String>,
    /// The project's directory, instead of that of the first file
    #[arg(long, value_name = "DIR", alias = "workdir")]
    project_directory: Option<PathBuf>,
    /// Enable a profile; * is all of them
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
    /// A file of variables, instead of .env [env: COMPOSE_ENV_FILES]
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<String>,
    /// Colours and moving lines: auto, always, never [env: COMPOSE_ANSI]
    #[arg(long, value_name = "WHEN")]
    ansi: Option<Ansi>,
    /// How progress is shown: auto, tty, plain, json, quiet [env: COMPOSE_PROGRESS]
    #[arg(long, value_name = "KIND")]
    progress: Option<Progress>,
    /// How much is done at once; -1 for no limit [env: COMPOSE_PARALLEL_LIMIT]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    parallel: Option<i32>,
    /// Say what would be done, and do nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Names with _ instead of -, and files as they are [env: COMPOSE_COMPATIBILITY]
    #[arg(long)]
    compatibility: bool,
    /// Keep networks, volumes and the like that no service uses
    #[arg(long)]
    all_resources: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ansi {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Progress {
    Auto,
    Tty,
    Plain,
    Json,
    #[value(alias = "none")]
    Quiet,
}

impl Global {
    /// What to load, for these services (all if there are none).
    pub fn options(&self, services: &[String], skip: Skip) -> Result<Options, Failure> {
        self.check()?;
        let current = std::env::current_dir()
            .map_err(|error| Failure::new("cannot tell the working directory").cause(&error))?;
        // what is no UTF-8 can be in no compose file
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let environment: std::collections::BTreeMap<_, _> = environment.collect();
        let mut env_files = self.env_files.clone();
        if env_files.is_empty() {
            let listed = environment.get("COMPOSE_ENV_FILES").map_or("", String::as_str);
            let names = listed.split(',').filter(|name| !name.is_empty());
            env_files = names.map(str::to_owned).collect();
        }
        Ok(Options {
            files: self.files.clone(),
            directory: self.project_directory.clone(),
            name: self.project_name.clone(),
            profiles: self.profiles.clone(),
            env_files,
            environment,
            current,
            services: services.to_vec(),
            named: Vec::new(),
            all_resources: self.all_resources,
            skip,
        })
    }

    /// Loads the project, and says what its author should know.
    pub fn load(&self, options: &Options) -> Result<Loaded, Failure> {
        let loaded = load::load(options)?;
        warn(&loaded.warnings);
        Ok(loaded)
    }

    /// The whole project, also what no enabled service uses; services that are `named` are enabled.
    pub fn project(&self, named: &[String]) -> Result<Project, Failure> {
        Ok(self.load(&self.everything(named)?)?.project)
    }

    /// The same; or only its name, where one was given, no file was, and there is none here.
    pub fn project_or_name(&self, named: &[String]) -> Result<Result<Project, String>, Failure> {
        let options = self.everything(named)?;
        let name = load::given_name(&options).filter(|_| options.files.is_empty());
        match (load::load(&options), name) {
            (Err(load::Error::NoFile { .. }), Some(name)) => Ok(Err(name.to_owned())),
            (loaded, _) => {
                let loaded = loaded?;
                warn(&loaded.warnings);
                Ok(Ok(loaded.project))
            }
        }
    }

    fn everything(&self, named: &[String]) -> Result<Options, Failure> {
        let options = self.options(&[], Skip::default())?;
        Ok(Options { all_resources: true, named: named.to_vec(), ..options })
    }

    /// What stands between the parts of names.
    pub fn separator(&self) -> char {
        if self.is_compatible() { '_' } else { '-' }
    }

    /// How progress is shown; [`Self::check`] has refused what is no way.
    pub fn progress(&self) -> How {
        match chosen(self.progress, "COMPOSE_PROGRESS") {
            Ok(Some(Progress::Tty)) => How::Tty,
            Ok(Some(Progress::Plain)) => How::Plain,
            Ok(Some(Progress::Json)) => How::Json,
            Ok(Some(Progress::Quiet)) => How::Quiet,
            _ => How::Auto,
        }
    }

    /// The same for builds.
    pub fn build_progress(&self) -> Option<String> {
        let word = match self.progress() {
            How::Auto => return None,
            How::Tty => "tty",
            How::Plain => "plain",
            How::Json => "rawjson",
            How::Quiet => "quiet",
        };
        Some(word.to_owned())
    }

    /// Steps at once; `None`: any number.
    pub fn parallel(&self) -> Option<usize> {
        let text = variable("COMPOSE_PARALLEL_LIMIT");
        let number = self.parallel.or_else(|| text.and_then(|text| text.parse().ok()))?;
        usize::try_from(number).ok().filter(|number| *number > 0)
    }

    /// Whether names before lines have colours.
    pub fn colour(&self) -> bool {
        match chosen(self.ansi, "COMPOSE_ANSI") {
            Ok(Some(Ansi::Never)) => false,
            Ok(Some(Ansi::Always)) => true,
            _ => std::io::stdout().is_terminal(),
        }
    }

    /// Whether names have `_` between their parts.
    pub fn is_compatible(&self) -> bool {
        let variable = variable("COMPOSE_COMPATIBILITY");
        self.compatibility || variable.and_then(|text| switch_value(&text)).unwrap_or(false)
    }

    /// Whether the flag was given: it changes what is printed as well.
    pub fn has_compatibility_flag(&self) -> bool {
        self.compatibility
    }

    /// Refuses values that make no sense, whichever verb follows.
    fn check(&self) -> Result<(), Failure> {
        if let (None, Some(text)) = (self.parallel, variable("COMPOSE_PARALLEL_LIMIT")) {
            text.parse::<i32>().map_err(|_| {
                Failure::usage(format!("COMPOSE_PARALLEL_LIMIT must be a number, not '{text}'"))
            })?;
        }
        let ansi = chosen(self.ansi, "COMPOSE_ANSI")?.unwrap_or(Ansi::Auto);
        let progress = chosen(self.progress, "COMPOSE_PROGRESS")?.unwrap_or(Progress::Auto);
        match (ansi, progress) {
            (Ansi::Never, Progress::Tty) | (Ansi::Always, Progress::Plain) => {
                Err(Failure::usage("--ansi and --progress contradict each other")
                    .hint("leave one of them out"))
            }
            _ => Ok(()),
        }
    }
}

/// An option, or else the variable that stands for it.
fn chosen<T: clap::ValueEnum>(option: Option<T>, name: &str) -> Result<Option<T>, Failure> {
    match (option, variable(name)) {
        (Some(value), _) => Ok(Some(value)),
        (None, None) => Ok(None),
        (None, Some(text)) => T::from_str(&text, false).map(Some).map_err(|_| {
            let known: Vec<String> = T::value_variants()
                .iter()
                .filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()))
                .collect();
            Failure::usage(format!("{name} must be one of {}, not '{text}'", known.join(", ")))
        }),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Prints warnings of the loader.
pub fn warn(warnings: &[load::Warning]) {
    warnings.iter().for_each(ui::warning);
}

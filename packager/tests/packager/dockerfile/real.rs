//! Dockerfiles of real projects, read, linted and planned: what comes out is in the `summary` beside each. After a change
//! that is meant, run the test with `KNARR_BLESS=1` and read the difference.

use knarr_core::image::variant::Runnable;
use knarr_core::image::{Digest, ImageConfig, Platform};
use knarr_packager::build::plan::{Base, BaseImage, Images, Operation, plan};
use knarr_packager::build::{self, Options};
use knarr_packager::dockerfile::ast::{Arg, Command, CopySource, Healthcheck};
use knarr_packager::dockerfile::lint::{Facts, lint};
use knarr_packager::dockerfile::{Dockerfile, Instruction, Stage, Word, parse};
use std::fmt::Write;
use std::path::Path;

/// Every image exists, and has nothing in it but a `PATH`.
struct AnyImage;

impl Images for AnyImage {
    fn get(&self, reference: &str, platform: &Platform) -> Result<BaseImage, build::Error> {
        let mut config = ImageConfig {
            os: platform.os.clone(),
            architecture: platform.architecture.clone(),
            ..ImageConfig::default()
        };
        config.config.env = vec!["PATH=/usr/bin:/bin".into()];
        let digest: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        Ok(BaseImage {
            reference: reference.into(),
            manifest: digest.clone(),
            digest,
            config,
            platform: platform.clone(),
        })
    }
}

/// A word or line as short as it can be told apart.
fn short(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(60) {
        None => flat,
        Some((end, _)) => format!("{}… ({} bytes)", &flat[..end], text.len()),
    }
}

fn command(command: &Command) -> String {
    match command {
        Command::Shell(line) => short(line),
        Command::Exec(arguments) => format!("{arguments:?}"),
    }
}

fn words(words: &[Word]) -> String {
    words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" | ")
}

fn args(args: &[Arg]) -> String {
    let shown = args.iter().map(|arg| match &arg.default {
        Some(default) => format!("{} = {}", arg.name.value, default.value),
        None => arg.name.value.clone(),
    });
    shown.collect::<Vec<_>>().join(" | ")
}

fn sources(sources: &[CopySource], destination: &Word) -> String {
    let mut shown: Vec<_> = sources
        .iter()
        .map(|source| match source {
            CopySource::Path(path) => path.value.clone(),
            CopySource::Document(document) => format!("<<{}", document.name),
        })
        .collect();
    shown.push(format!("→ {}", destination.value));
    shown.join(" | ")
}

fn details(instruction: &Instruction) -> String {
    match instruction {
        Instruction::Add(add) => sources(&add.sources, &add.destination),
        Instruction::Arg(own) => args(own),
        Instruction::Cmd(own) | Instruction::Entrypoint(own) => command(own),
        Instruction::Copy(copy) => {
            let from =
                copy.from.as_ref().map(|from| format!("from {}: ", from.value)).unwrap_or_default();
            let mut all = format!("{from}{}", sources(&copy.sources, &copy.destination));
            for (name, option) in [("owner", &copy.options.chown), ("mode", &copy.options.chmod)] {
                if let Some(option) = option {
                    write!(all, ", {name} {}", option.value).unwrap();
                }
            }
            all
        }
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            let shown =
                pairs.iter().map(|pair| format!("{} = {}", pair.key.value, short(&pair.value)));
            shown.collect::<Vec<_>>().join(" | ")
        }
        Instruction::Expose(own) | Instruction::Volume(own) => words(own),
        Instruction::Healthcheck(Healthcheck::None) => "NONE".into(),
        Instruction::Healthcheck(Healthcheck::Command { command: own, options }) => {
            format!("{} every {:?}, at most {:?}", command(own), options.interval, options.timeout)
        }
        Instruction::Maintainer(word)
        | Instruction::Stopsignal(word)
        | Instruction::User(word)
        | Instruction::Workdir(word) => word.value.clone(),
        Instruction::Onbuild(onbuild) => short(&onbuild.trigger),
        Instruction::Run(run) => {
            let mut all = command(&run.command);
            for mount in &run.mounts {
                write!(all, ", mount {}", mount.text.value).unwrap();
            }
            for document in &run.heredocs {
                let lines = document.content.lines().count();
                write!(all, ", document {} of {lines} lines", document.name).unwrap();
            }
            all
        }
        Instruction::Shell(arguments) => format!("{arguments:?}"),
    }
}

fn summary(file: &Dockerfile) -> String {
    let mut text = String::new();
    let line = |offset| file.source.line(offset);
    if file.directives.escape != '\\' {
        writeln!(text, "escape {}", file.directives.escape).unwrap();
    }
    if !file.args.is_empty() {
        writeln!(text, "args {}", args(&file.args)).unwrap();
    }
    for Stage { name, base, platform, instructions, span, .. } in &file.stages {
        write!(text, "{} FROM {}", line(span.start), base.value).unwrap();
        for (what, word) in [("as", name), ("platform", platform)] {
            if let Some(word) = word {
                write!(text, ", {what} {}", word.value).unwrap();
            }
        }
        text.push('\n');
        for instruction in instructions {
            let at = line(instruction.span.start);
            writeln!(text, "{at}   {} {}", instruction.keyword(), details(instruction)).unwrap();
        }
    }
    for warning in lint(file, &Facts::default()) {
        writeln!(text, "{} warning {}", line(warning.span.start), warning.rule.name).unwrap();
    }
    text.push_str(&planned(file));
    text
}

/// What a build for this platform would do, in numbers.
fn planned(file: &Dockerfile) -> String {
    let amd64: Platform = "linux/amd64".parse().unwrap();
    let mut options =
        Options::of_folder("/context", Runnable { wasm: false, native: vec![amd64.clone()] });
    options.platforms = vec![amd64];
    // what its author gives on the command line
    let required = file.args.iter().filter(|arg| arg.default.is_none());
    options.args = required.map(|arg| (arg.name.value.clone(), "1".into())).collect();
    let plan = plan(file, &options, &AnyImage).unwrap_or_else(|error| panic!("{error}"));
    let mut text = String::new();
    for stage in &plan.variants[0].stages {
        let base = match &stage.base {
            Base::Scratch => "scratch".into(),
            Base::Stage(at) => format!("stage {}", plan.variants[0].stages[*at].label()),
            Base::Image(image) => image.reference.clone(),
        };
        let count = |wanted: fn(&Operation) -> bool| {
            stage.steps.iter().filter(|step| wanted(&step.operation)).count()
        };
        let runs = count(|operation| matches!(operation, Operation::Run(_)));
        let copies = count(|operation| matches!(operation, Operation::Copy(_)));
        let folders = count(|operation| matches!(operation, Operation::Workdir { .. }));
        let label = stage.label();
        writeln!(text, "plan {label} on {base}: {runs} runs, {copies} copies, {folders} folders")
            .unwrap();
    }
    let config = &plan.variants[0].stages.last().unwrap().config.config;
    let start = (&config.entrypoint, &config.cmd);
    writeln!(text, "image starts {start:?} in {:?} as {:?}", config.working_dir, config.user)
        .unwrap();
    text
}

#[test]
fn real_dockerfiles_are_read_and_planned() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/real-dockerfiles");
    let mut folders: Vec<_> = root
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() >= 20);
    for folder in folders {
        let bytes = std::fs::read(folder.join("Dockerfile")).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap();
        let file = parse(&bytes, name).unwrap_or_else(|error| panic!("{error}"));
        let found = summary(&file);
        if std::env::var_os("KNARR_BLESS").is_some() {
            std::fs::write(folder.join("summary"), &found).unwrap();
        }
        let expected = std::fs::read_to_string(folder.join("summary")).unwrap_or_default();
        assert_eq!(found, expected, "{name}");
    }
}

//! What a Dockerfile says, instruction by instruction. Words are as written: `expand` gives their meaning.

use super::source::{Located, Source, Span, Word};
use std::time::Duration;

/// A parsed Dockerfile: every instruction is known, has the arguments and flags it needs, and stands where it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    pub source: Source,
    pub directives: Directives,
    /// `ARG`s before the first `FROM`, in order. They are in scope of `FROM` alone.
    pub args: Vec<Arg>,
    /// At least one.
    pub stages: Vec<Stage>,
}

/// The comments at the top that mean something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=docker/dockerfile:1`. Knarr knows the language itself and runs no frontend image.
    pub syntax: Option<Word>,
    /// `# escape=` followed by a backquote; a backslash otherwise.
    pub escape: char,
    /// `# check=skip=RULE,…;error=true`
    pub check: Checks,
    /// `# platforms=wasi/wasm,linux/amd64`: what to build when the command line names no platform. Knarr's own; to
    /// BuildKit it is a comment, and so only `escape` must stand above it.
    pub platforms: Vec<Word>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', check: Checks::default(), platforms: Vec::new() }
    }
}

/// Which lint rules are on, and whether a warning fails the build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    pub skip: Rules,
    /// Rules that are off unless named here.
    pub experimental: Rules,
    pub error: bool,
}

/// A set of lint rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    All,
    Named(Vec<String>),
}

impl Default for Rules {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

impl Rules {
    pub fn contains(&self, rule: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| name == rule),
        }
    }
}

/// A `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// `AS name`, in lower case as it is looked up.
    pub name: Option<Word>,
    /// An image, a stage's name, or `scratch`; may hold variables.
    pub base: Word,
    /// `--platform`, may hold variables.
    pub platform: Option<Word>,
    /// The comment `# NAME text` right above.
    pub description: Option<String>,
    pub instructions: Vec<Located<Instruction>>,
    /// The `FROM` line.
    pub span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    Add(Add),
    Arg(Vec<Arg>),
    Cmd(Command),
    Copy(Copy),
    Entrypoint(Command),
    Env(Vec<KeyValue>),
    /// `80`, `8000-8010/udp`, `$PORT`; `expose::ports` reads them once expanded.
    Expose(Vec<Word>),
    Healthcheck(Healthcheck),
    Label(Vec<KeyValue>),
    Maintainer(Word),
    Onbuild(Onbuild),
    Run(Run),
    /// The program and arguments that a shell form is appended to.
    Shell(Vec<String>),
    Stopsignal(Word),
    User(Word),
    Volume(Vec<Word>),
    Workdir(Word),
}

impl Instruction {
    /// Its keyword, in upper case.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }
}

/// One name of an `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    pub name: Word,
    pub default: Option<Word>,
    /// The comment `# NAME text` right above.
    pub description: Option<String>,
}

/// One pair of an `ENV` or `LABEL`. Both halves may hold variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    pub key: Word,
    pub value: Word,
}

/// What `RUN`, `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD` execute. Variables in it are the running shell's affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// One line for the shell that `SHELL` names.
    Shell(String),
    /// The JSON form. Empty for `[]`.
    Exec(Vec<String>),
}

/// A document in the Dockerfile, as a shell has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// `<<EOF` as written.
    pub operator: Word,
    /// The word after `<<`, without quotes: its terminator, and the name of the file that `COPY` makes of it.
    pub name: String,
    /// The word was not quoted: `COPY` and `ADD` expand the variables in it.
    pub expand: bool,
    /// `<<-`: leading tabs of each line are to be dropped. They are still in `content`.
    pub strip_tabs: bool,
    /// The lines up to the terminator, each with its line end.
    pub content: Word,
}

impl Heredoc {
    /// The document, without leading tabs where `<<-` asks for that.
    pub fn text(&self) -> String {
        if !self.strip_tabs {
            return self.content.value.clone();
        }
        self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub command: Command,
    pub heredocs: Vec<Heredoc>,
    pub mounts: Vec<MountFlag>,
    pub network: RunNetwork,
    pub security: Security,
    /// `--device`, as written.
    pub devices: Vec<Word>,
}

/// What a `RUN` executes, its heredocs in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    Exec(Vec<String>),
    /// Text for the shell that `SHELL` names.
    Shell(String),
    /// A document that begins with `#!`: an executable file of this name and content.
    Script {
        name: String,
        text: String,
    },
}

impl Run {
    /// The document, where the line is nothing but `<<EOF`.
    pub fn document(&self) -> Option<&Heredoc> {
        let first = self.heredocs.first()?;
        let Command::Shell(line) = &self.command else { return None };
        (line == first.operator.as_str()).then_some(first)
    }

    /// What is to be executed. A line that is nothing but `<<EOF` runs the document; any other line is given to the
    /// shell together with its documents, for the shell to read.
    pub fn program(&self) -> Program {
        let line = match &self.command {
            Command::Exec(arguments) => return Program::Exec(arguments.clone()),
            Command::Shell(line) => line,
        };
        if let Some(document) = self.document() {
            let text = document.text();
            return match text.starts_with("#!") {
                true => Program::Script { name: document.name.clone(), text },
                false => Program::Shell(text),
            };
        }
        let mut text = line.clone();
        for document in &self.heredocs {
            text.push('\n');
            text.push_str(&document.content);
            text.push_str(&document.name);
        }
        Program::Shell(text)
    }
}

/// `--network` of a `RUN`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunNetwork {
    #[default]
    Default,
    None,
    Host,
}

/// `--security` of a `RUN`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Security {
    #[default]
    Sandbox,
    Insecure,
}

/// `--mount` as written: its values may hold variables, so `MountFlag::resolve` reads it with a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    pub text: Word,
    /// `from=`, which cannot hold variables: a stage or an image.
    pub from: Option<String>,
}

/// `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub sources: Vec<CopySource>,
    pub destination: Word,
    /// A stage (by name or number) or an image. Cannot hold variables.
    pub from: Option<Word>,
    pub options: CopyOptions,
    /// `--parents`: keep the directories of each source, from its `/./` on if it has one.
    pub parents: bool,
}

/// `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    pub sources: Vec<CopySource>,
    pub destination: Word,
    pub options: CopyOptions,
    /// `--checksum=sha256:…` of a URL, or a commit of a git source.
    pub checksum: Option<Word>,
    pub keep_git_dir: Option<bool>,
    /// Whether archives are unpacked. By default local ones are and downloaded ones are not.
    pub unpack: Option<bool>,
}

/// One source of a `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySource {
    /// A path or pattern, or for `ADD` also a URL; may hold variables.
    Path(Word),
    /// A file written in the Dockerfile.
    Document(Heredoc),
}

/// The flags that `COPY` and `ADD` share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    pub chown: Option<Word>,
    /// Octal, or symbolic as `chmod` has it.
    pub chmod: Option<Word>,
    pub link: bool,
    /// Patterns as in `.dockerignore`, relative to each source.
    pub exclude: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: also none that the base image has.
    None,
    Command {
        command: Command,
        options: HealthOptions,
    },
}

/// Absent and zero both mean: as inherited, or the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthOptions {
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub start_period: Option<Duration>,
    pub start_interval: Option<Duration>,
    pub retries: Option<u32>,
}

/// `ONBUILD`: an instruction for the images that are built from this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onbuild {
    /// As it goes into the image's config: one line, documents and their terminators after it.
    pub trigger: String,
    /// The same, read.
    pub instruction: Box<Located<Instruction>>,
}

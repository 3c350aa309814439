//! Why a Dockerfile is refused, and where.

use super::excerpt::Excerpt;
use super::source::{Source, Span};
use knarr_core::hint::Hint;

pub type Result<T> = std::result::Result<T, Error>;

/// What is wrong at one place. Displayed, it names the problem and shows the line; the remedy is its [`Hint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}\n{excerpt}")]
pub struct Error {
    pub problem: Problem,
    pub span: Span,
    pub excerpt: Box<Excerpt>,
}

impl Error {
    pub fn new(source: &Source, span: Span, problem: Problem) -> Self {
        Self { problem, span, excerpt: Box::new(Excerpt::new(source, span)) }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}

/// What can be wrong with a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    // the file
    #[error("this is not UTF-8 text")]
    Encoding { utf16: bool },
    #[error("the Dockerfile has no instruction")]
    Empty,
    #[error("the Dockerfile has no FROM")]
    NoStage,
    #[error("{keyword} stands before the first FROM")]
    BeforeFrom { keyword: &'static str },
    #[error("there may be only one '{name}' directive")]
    DuplicateDirective { name: &'static str },
    #[error("the escape character must be \\ or `, not '{found}'")]
    EscapeCharacter { found: String },
    #[error("the escape directive comes too late")]
    LateEscape,
    #[error("'{found}' is no check option")]
    CheckOption { found: String },
    #[error("'{found}' is not a platform")]
    Platform { found: String },

    // instructions
    #[error("unknown instruction '{keyword}'")]
    UnknownInstruction {
        keyword: String,
        nearest: Option<String>,
        /// It looks like a part of the instruction before.
        continues: bool,
    },
    #[error("{keyword} needs at least one argument")]
    NoArgument { keyword: &'static str },
    #[error("{keyword} takes exactly one argument")]
    OneArgument { keyword: &'static str },
    #[error("{keyword} needs a source and a destination")]
    NoDestination { keyword: &'static str },
    #[error("FROM takes an image, optionally followed by AS and a name")]
    FromArguments { second: Option<String> },
    #[error("'{name}' is no name for a stage")]
    StageName { name: String },
    #[error("only strings may stand in the list of {keyword}")]
    NotStrings { keyword: String },
    #[error("SHELL takes a list in JSON form")]
    ShellForm,
    #[error("{keyword} needs a name and a value")]
    NoValue { keyword: &'static str },
    #[error("there is no '=' in '{word}'")]
    NoEquals { keyword: &'static str, word: String },
    #[error("the name before '=' is missing")]
    BlankName,
    #[error("a volume's path may not be empty")]
    EmptyVolume,
    #[error("an empty command cannot be run")]
    EmptyCommand,
    #[error("{keyword} may not stand in an ONBUILD")]
    Onbuild { keyword: &'static str },
    #[error("an ONBUILD has one instruction, and this is a second one")]
    SecondTrigger,
    #[error("HEALTHCHECK NONE takes no arguments")]
    HealthcheckNone,
    #[error("unknown kind of health check '{kind}'")]
    HealthcheckKind { kind: String },
    #[error("the command after HEALTHCHECK CMD is missing")]
    HealthcheckCommand,

    // flags and mounts
    #[error("{keyword} has no flag --{flag}")]
    UnknownFlag {
        keyword: &'static str,
        flag: String,
        nearest: Option<&'static str>,
        known: &'static [&'static str],
    },
    #[error("--{flag} is given twice")]
    DuplicateFlag { flag: String },
    #[error("--{flag} needs a value")]
    FlagValue { flag: String },
    #[error("--{flag} is true or false, not '{value}'")]
    FlagBoolean { flag: String, value: String },
    #[error("'{value}' is no value for {option}")]
    Value { option: String, value: String, expected: &'static str },
    #[error("'{value}' is no value for {option}")]
    Choice {
        option: String,
        value: String,
        nearest: Option<&'static str>,
        known: &'static [&'static str],
    },
    #[error("the value of {option} is missing")]
    OptionValue { option: String },
    #[error("a mount has no option '{option}'")]
    UnknownOption { option: String, nearest: Option<&'static str>, known: &'static [&'static str] },
    #[error("a mount of type {kind} has no option '{option}'")]
    MountOption { kind: &'static str, option: &'static str },
    #[error("a mount of type {kind} needs {needs}")]
    MountNeeds { kind: &'static str, needs: &'static str },
    #[error("a mount's options are not well quoted")]
    MountQuotes,
    #[error("variables are not expanded in '{option}'")]
    FixedName { option: &'static str },

    // heredocs
    #[error("the line '{name}' that ends this document is missing")]
    UnterminatedHeredoc { name: String },
    #[error("{keyword} cannot have a document as its destination")]
    HeredocDestination { keyword: &'static str },

    // expansion
    #[error("the closing {quote} is missing")]
    Unclosed { quote: char },
    #[error("the closing '}}' is missing")]
    UnclosedBrace,
    #[error("the '/' after the pattern is missing")]
    UnclosedPattern,
    #[error("bad substitution")]
    BadSubstitution,
    #[error("'{modifier}' is no modifier of a variable")]
    Modifier { modifier: String },
    #[error("'\\{character}' is no escape in a pattern")]
    PatternEscape { character: String },
    #[error("{name}: {message}")]
    Required { name: String, message: String },
    #[error("variables are nested too deeply")]
    Nesting,
    #[error("the value is larger than {limit} bytes")]
    TooLarge { limit: usize },

    // .dockerignore
    #[error("'{pattern}' is no pattern for file names")]
    Pattern { pattern: String },

    // ports
    #[error("'{port}' is no port")]
    Port { port: String },
}

/// White space that separates no words, or no space at all: what copying from a web page leaves behind.
fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// The ways to say what was meant.
fn nearest_or_known(nearest: Option<&str>, known: &[&str], prefix: &str) -> Option<String> {
    if let Some(nearest) = nearest {
        return Some(format!("did you mean '{prefix}{nearest}'?"));
    }
    match known {
        [] => None,
        [one] => Some(format!("there is only '{prefix}{one}'")),
        [many @ .., last] => {
            let many: Vec<_> = many.iter().map(|name| format!("{prefix}{name}")).collect();
            Some(format!("there are {} and {prefix}{last}", many.join(", ")))
        }
    }
}

impl Hint for Problem {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Encoding { utf16: true } => "it looks like UTF-16; save the file as UTF-8",
            Self::Encoding { utf16: false } => "save the file as UTF-8",
            Self::Empty | Self::NoStage => {
                "the first instruction names the image to start from, as in 'FROM scratch'"
            }
            Self::BeforeFrom { .. } => "only ARG may stand before the first FROM",
            Self::CheckOption { .. } => {
                "it is written like '# check=skip=RULE,RULE;experimental=RULE;error=true'"
            }
            Self::LateEscape => {
                "put it above '# platforms=', which other builders take for a comment"
            }
            Self::Platform { .. } => "platforms look like linux/amd64, linux/arm64/v8 or wasi/wasm",
            Self::UnknownInstruction { keyword, .. } if keyword.contains(is_invisible) => {
                "an invisible character stands where a blank should be"
            }
            Self::UnknownInstruction { nearest: Some(nearest), .. } => {
                return Some(format!("did you mean '{nearest}'?"));
            }
            Self::UnknownInstruction { continues: true, .. } => {
                "if this belongs to the instruction before, end the line before with the escape character"
            }
            Self::NoDestination { keyword } => {
                return Some(format!("write '{keyword} SOURCE DESTINATION'"));
            }
            Self::FromArguments { second: Some(word) } => {
                return Some(format!("write AS where '{word}' stands, or one word after FROM"));
            }
            Self::StageName { .. } => {
                "a name starts with a letter, then come letters, digits, '-', '_' and '.'"
            }
            Self::NotStrings { .. } => "numbers and lists need quotes: [\"sleep\", \"1\"]",
            Self::ShellForm => "write SHELL [\"/bin/bash\", \"-c\"]",
            Self::NoValue { keyword } => return Some(format!("write '{keyword} NAME=VALUE'")),
            Self::NoEquals { keyword, .. } => {
                return Some(format!(
                    "write '{keyword} NAME=VALUE NAME=VALUE'; a value with blanks needs quotes"
                ));
            }
            Self::HealthcheckKind { .. } => "write HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE",
            Self::UnknownFlag { nearest, known, .. } => {
                return nearest_or_known(*nearest, known, "--");
            }
            Self::UnknownOption { nearest, known, .. } | Self::Choice { nearest, known, .. } => {
                return nearest_or_known(*nearest, known, "");
            }
            Self::FlagValue { flag } => return Some(format!("write '--{flag}=VALUE'")),
            Self::OptionValue { option } => return Some(format!("write '{option}=VALUE'")),
            Self::Value { expected, .. } => return Some(format!("it takes {expected}")),
            Self::FixedName { .. } => {
                "define a stage with 'FROM $NAME AS other' and a global ARG, then name that stage"
            }
            Self::UnterminatedHeredoc { name } => {
                return Some(format!(
                    "end the document with a line that is exactly '{name}', without blanks around it"
                ));
            }
            Self::BadSubstitution => "write \\$ for a dollar sign that is none of a variable",
            Self::Modifier { .. } => {
                "there are ${v:-word} ${v:+word} ${v:?message}, the same without ':', ${v#pattern} ${v##pattern} \
                 ${v%pattern} ${v%%pattern} ${v/pattern/text} and ${v//pattern/text}"
            }
            Self::PatternEscape { .. } => {
                "in a pattern \\*, \\? and \\\\ stand for the characters themselves"
            }
            Self::Pattern { .. } => "close brackets, and write \\[ for a bracket of the name",
            Self::Port { .. } => "a port looks like 80, 53/udp or 8000-8010",
            _ => return None,
        };
        Some(text.into())
    }
}

//! Log in to a registry.

use super::Outcome;
use crate::error::Failure;
use crate::ui::{self, terminal};
use knarr_packager::registry::{self, Config};
use std::io::Read;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The password; other users of this machine can see it
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
    /// The name to log in with
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// The registry; Docker Hub if absent
    #[arg(value_name = "SERVER", default_value = "docker.io", hide_default_value = true)]
    server: String,
}

pub fn run(args: &Args) -> Outcome {
    let config = Config::load()?;
    if args.password_stdin && args.username.is_none() {
        return Err(Failure::usage("--password-stdin needs --username"));
    }
    let is_terminal = terminal::is_terminal();
    let unattended = |what: &str, remedy: &str| {
        Failure::new(format!("there is no terminal to ask for the {what}")).hint(remedy)
    };
    let user = match &args.username {
        Some(user) => user.clone(),
        None if is_terminal => {
            let known = registry::user(&config, &args.server)?;
            let shown = known.as_ref().map_or(String::new(), |user| format!(" ({user})"));
            match (terminal::ask(&format!("Username{shown}: "))?, known) {
                (answer, Some(known)) if answer.is_empty() => known,
                (answer, _) => answer,
            }
        }
        None => return Err(unattended("user name", "give it with --username")),
    };
    let password = match &args.password {
        Some(password) => {
            ui::warning(
                "a password on the command line is visible to others; use --password-stdin",
            );
            password.clone()
        }
        None if args.password_stdin => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|error| {
                Failure::new("cannot read the password from standard input").cause(&error)
            })?;
            text.trim_end_matches(['\r', '\n']).to_owned()
        }
        None if is_terminal => terminal::ask_secretly("Password: ")?,
        None => return Err(unattended("password", "pipe it in with --password-stdin")),
    };
    if user.is_empty() || password.is_empty() {
        return Err(Failure::usage("the user name and the password must not be empty"));
    }
    registry::login(&config, &args.server, &user, &password)?;
    ui::line("Login Succeeded")?;
    Ok(0)
}

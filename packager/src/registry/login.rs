//! Logging in and out.

use super::auth;
use super::config::Config;
use super::credentials::Credential;
use super::follow::Reached;
use super::session::{Access, Call, Session};
use super::{Error, credentials};
use knarr_core::image::Reference;
use reqwest::{Method, StatusCode};

/// Asks the registry whether it takes the credentials, and keeps them where Docker does.
pub fn login(config: &Config, registry: &str, user: &str, password: &str) -> Result<(), Error> {
    let registry = normalise(registry);
    let credential = Credential::Password { user: user.to_owned(), password: password.to_owned() };
    let runtime = super::runtime()?;
    runtime.block_on(verify(config, registry, &credential))?;
    Ok(config.credentials.store(registry, &credential)?)
}

/// Forgets the credentials of a registry; `false` if there were none.
pub fn logout(config: &Config, registry: &str) -> Result<bool, Error> {
    Ok(config.credentials.erase(normalise(registry))?)
}

/// The user that is logged in, for `login` without a user name.
pub fn user(config: &Config, registry: &str) -> Result<Option<String>, credentials::Error> {
    Ok(match config.credentials.get(normalise(registry))? {
        Some(Credential::Password { user, .. }) => Some(user),
        _ => None,
    })
}

/// Docker Hub has many names; others may come with a scheme and a slash.
fn normalise(registry: &str) -> &str {
    let host = registry.split_once("://").map_or(registry, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or(host);
    match host {
        "" | "index.docker.io" | "registry-1.docker.io" | "docker.com" => "docker.io",
        host => host,
    }
}

async fn verify(config: &Config, registry: &str, credential: &Credential) -> Result<(), Error> {
    // no repository is meant; the name only fills the session's
    let parsed: Result<Reference, _> = format!("{registry}/login").parse();
    let reference = parsed.map_err(|e| Error::NotAReference(registry.to_owned(), e))?;
    let endpoint = config.endpoint(registry);
    let session = Session::new(config, endpoint, &reference, Access::Pull)?;
    let url = session.url("")?.join("/v2/").map_err(|e| session.protocol(e.to_string()))?;
    let call = Call::new(Method::GET, url);
    let Reached { response, at_home } = session.follow(&call, None).await?;
    if response.status() != StatusCode::UNAUTHORIZED || !at_home {
        // a registry for everybody takes any credentials
        return check(&session, response).await;
    }
    let proof = auth::answer_with(&session, response.headers(), Some(credential), &[]).await;
    let proof = proof.map_err(|error| match error {
        Error::Denied { registry, .. } => Error::WrongCredentials { registry },
        other => other,
    })?;
    check(&session, session.follow(&call, Some(&proof)).await?.response).await
}

async fn check(session: &Session<'_>, response: reqwest::Response) -> Result<(), Error> {
    match response.status() {
        status if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(Error::WrongCredentials { registry: session.registry.clone() })
        }
        _ => Err(session.refusal(response, "/v2/").await),
    }
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn names_of_registries() {
        for name in ["", "docker.io", "index.docker.io", "https://index.docker.io/v1/"] {
            assert_eq!(normalise(name), "docker.io");
        }
        assert_eq!(normalise("https://ghcr.io/"), "ghcr.io");
        assert_eq!(normalise("localhost:5000"), "localhost:5000");
    }
}

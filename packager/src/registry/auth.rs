//! Answers to a registry's challenge: Basic, or a bearer token from its token server (distribution,
//! "Token Authentication Specification"; OAuth2 for identity tokens).

use super::Error;
use super::challenge::{self, Challenge};
use super::credentials::Credential;
use super::follow::Reached;
use super::session::{Call, Session};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

const CLIENT_ID: &str = "knarr";
const TOKEN_LIMIT: u64 = 1 << 20;

/// The value of `Authorization` that answers the challenges in `headers`, with the credentials that are
/// kept for the registry.
pub(super) async fn answer(
    session: &Session<'_>,
    headers: &HeaderMap,
) -> Result<Authorization, Error> {
    // what is wrong with the file or a helper was said before ([`Config::complaints`]): whoever cannot prove who they
    // are may still be let in as anybody
    let (credential, complaint) = match session.config.credentials.get(session.credential_key()) {
        Ok(credential) => (credential, None),
        Err(complaint) => (None, Some(complaint)),
    };
    let value = answer_with(session, headers, credential.as_ref(), &session.scopes()).await;
    match (value, complaint) {
        (Err(Error::Denied { .. }), Some(complaint)) => Err(complaint.into()),
        (value, _) => Ok(Authorization { value: value?, identified: credential.is_some() }),
    }
}

/// What a session proves to its registry.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub value: HeaderValue,
    /// By credentials, not as anybody.
    pub identified: bool,
}

/// [`answer`] with the given credentials and scopes.
pub(super) async fn answer_with(
    session: &Session<'_>,
    headers: &HeaderMap,
    credential: Option<&Credential>,
    scopes: &[String],
) -> Result<HeaderValue, Error> {
    if let Some(Credential::RegistryToken(token)) = credential {
        return bearer(session, token);
    }
    let challenges: Vec<Challenge> = headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(challenge::parse)
        .collect();
    for challenge in &challenges {
        match (challenge, credential) {
            (Challenge::Bearer { realm, service, scope }, _) => {
                let service = service.as_deref();
                // what the challenge asks for may be more than we thought of
                let mut scopes = scopes.to_vec();
                scopes.extend(
                    scope.iter().filter(|s| !scopes.contains(s)).cloned().collect::<Vec<_>>(),
                );
                let token = token(session, realm, service, &scopes, credential).await?;
                return bearer(session, &token);
            }
            (Challenge::Basic, Some(Credential::Password { user, password })) => {
                return basic(session, user, password);
            }
            _ => {}
        }
    }
    if challenges.contains(&Challenge::Basic) {
        return Err(denied(session, false, String::new()));
    }
    Err(Error::Challenge {
        registry: session.registry.clone(),
        reference: session.reference.clone(),
        reason: "it names neither Basic nor Bearer".into(),
    })
}

async fn token(
    session: &Session<'_>,
    realm: &str,
    service: Option<&str>,
    scopes: &[String],
    credential: Option<&Credential>,
) -> Result<String, Error> {
    let unusable = |reason: String| Error::Challenge {
        registry: session.registry.clone(),
        reference: session.reference.clone(),
        reason,
    };
    let mut url = Url::parse(realm).map_err(|e| unusable(format!("its realm {realm:?}: {e}")))?;
    if url.scheme() != "https" && !session.is_plain_http() {
        return Err(unusable(format!("its token server {realm} is reached by plain HTTP")));
    }
    let mut proof = None;
    let call = match credential {
        Some(Credential::IdentityToken(token)) => {
            let mut form = vec![
                ("grant_type", "refresh_token".to_owned()),
                ("refresh_token", token.clone()),
                ("client_id", CLIENT_ID.to_owned()),
                ("scope", scopes.join(" ")),
            ];
            form.extend(service.map(|s| ("service", s.to_owned())));
            Call::new(Method::POST, url)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encode(&form).into())
        }
        _ => {
            {
                let mut query = url.query_pairs_mut();
                for scope in scopes {
                    query.append_pair("scope", scope);
                }
                if let Some(service) = service {
                    query.append_pair("service", service);
                }
                if let Some(Credential::Password { user, .. }) = credential {
                    query.append_pair("account", user).append_pair("client_id", CLIENT_ID);
                }
            }
            if let Some(Credential::Password { user, password }) = credential {
                proof = Some(basic(session, user, password)?);
            }
            Call::new(Method::GET, url)
        }
    };
    let response = send(session, &call, proof.as_ref()).await?;
    if matches!(
        response.status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST
    ) {
        return Err(denied(session, credential.is_some(), "wrong or expired credentials".into()));
    }
    if !response.status().is_success() {
        return Err(session.refusal(response, "access token").await);
    }
    let body = session.body(response, TOKEN_LIMIT, "access token").await?;
    // never quote the body: it may hold a secret
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| session.protocol("its token server did not answer with a token"))?;
    let token = answer.token.filter(|t| !t.is_empty()).or(answer.access_token);
    token.ok_or_else(|| session.protocol("its token server did not answer with a token"))
}

/// Token servers fail like registries do, and are tried again like them.
async fn send(
    session: &Session<'_>,
    call: &Call,
    proof: Option<&HeaderValue>,
) -> Result<reqwest::Response, Error> {
    let mut attempt = 1;
    loop {
        let error = match session.follow(call, proof).await {
            Ok(Reached { response, .. }) if response.status().is_server_error() => {
                session.refusal(response, "access token").await
            }
            Ok(Reached { response, .. }) => return Ok(response),
            Err(error) => error,
        };
        if !error.is_transient() || attempt >= session.timing().attempts {
            return Err(error);
        }
        tokio::time::sleep(session.pause(attempt)).await;
        attempt += 1;
    }
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

fn denied(session: &Session<'_>, authenticated: bool, message: String) -> Error {
    Error::Denied {
        registry: session.registry.clone(),
        reference: session.reference.clone(),
        authenticated,
        message,
    }
}

fn basic(session: &Session<'_>, user: &str, password: &str) -> Result<HeaderValue, Error> {
    let encoded = STANDARD.encode(format!("{user}:{password}"));
    secret(session, &format!("Basic {encoded}"))
}

fn bearer(session: &Session<'_>, token: &str) -> Result<HeaderValue, Error> {
    secret(session, &format!("Bearer {token}"))
}

fn secret(session: &Session<'_>, text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| session.protocol("a token that no HTTP header can hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `application/x-www-form-urlencoded`, by way of a URL's query.
fn encode(form: &[(&str, String)]) -> String {
    let Ok(mut url) = Url::parse("form:") else { return String::new() };
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

//! Authentication: tokens, passwords, helpers.

use crate::support::images::single;
use crate::support::registry::{Auth, Registry};
use crate::support::{Place, options, story};
use knarr_core::image::Reference;
use knarr_packager::Silent;
use knarr_packager::registry::{Error, login, logout, pull, user};

const BASIC: Auth = Auth::Basic { user: "me", password: "p:w" };
const TOKEN: Auth = Auth::PasswordToken { user: "me", password: "p:w" };

fn guarded(auth: Auth) -> (Registry, Reference) {
    let (registry, maker) = (Registry::start(), Place::new());
    let image = single(&maker.store, "one");
    registry.hold(&maker.store, &image.descriptor, "one", "1");
    registry.auth(auth);
    let reference = format!("{}/one:1", registry.host).parse().unwrap();
    (registry, reference)
}

#[test]
fn log_in_pull_log_out() {
    for auth in [BASIC, TOKEN] {
        let (registry, reference) = guarded(auth);
        let place = Place::new();
        let config = place.config();
        let go = || pull(&place.store, &reference, &options(), &config, &Silent);

        let error = go().unwrap_err();
        assert!(matches!(error, Error::Denied { authenticated: false, .. }), "{error:?}");
        let text = story(&error);
        assert!(text.contains(&format!("hint: run 'knarr login {}'", registry.host)), "{text}");

        login(&config, &registry.host, "me", "p:w").unwrap();
        assert_eq!(user(&config, &registry.host).unwrap().as_deref(), Some("me"));
        go().unwrap();
        assert!(logout(&config, &registry.host).unwrap());
        assert!(!logout(&config, &registry.host).unwrap());
        assert!(matches!(go().unwrap_err(), Error::Denied { .. }));
    }
}

#[test]
fn wrong_passwords_are_not_kept() {
    for auth in [BASIC, TOKEN] {
        let (registry, _) = guarded(auth);
        let place = Place::new();
        let error = login(&place.config(), &registry.host, "me", "wrong").unwrap_err();
        assert!(matches!(error, Error::WrongCredentials { .. }), "{error:?}");
        assert!(!story(&error).contains("wrong\""));
        assert!(!place.directory.path().join("docker/config.json").exists());
    }
}

#[test]
fn a_registry_for_everybody_takes_any_login() {
    let (registry, place) = (Registry::start(), Place::new());
    login(&place.config(), &registry.host, "me", "x").unwrap();
    assert!(place.read("docker/config.json").contains(&registry.host));
}

#[test]
fn one_token_serves_all_requests() {
    let (registry, reference) = guarded(Auth::AnonymousToken);
    let place = Place::new();
    pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();
    assert_eq!(registry.count("GET", "/token"), 1);
    let log = registry.log();
    let token = log.iter().find(|r| r.path.starts_with("/token")).unwrap();
    assert!(token.path.contains("scope=repository%3Aone%3Apull&service=test"), "{}", token.path);
    assert!(!token.headers.contains_key("authorization"));
}

#[test]
fn an_identity_token_is_exchanged() {
    let (registry, reference) = guarded(Auth::IdentityToken("refresh-me"));
    let place = Place::new();
    let text =
        format!(r#"{{"auths": {{"{}": {{"identitytoken": "refresh-me"}}}}}}"#, registry.host);
    place.write("docker/config.json", &text);
    pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap();
    assert_eq!(registry.count("POST", "/token"), 1);
}

#[test]
fn wrong_credentials_are_not_anonymous() {
    let (registry, reference) = guarded(TOKEN);
    let place = Place::new();
    let auth = "bWU6b2xk"; // me:old
    let text = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.host);
    place.write("docker/config.json", &text);
    let error = pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
    assert!(matches!(error, Error::Denied { authenticated: true, .. }), "{error:?}");
    assert!(story(&error).contains("wrong or expired credentials"));
}

#[test]
fn a_missing_helper_is_named() {
    let (registry, reference) = guarded(TOKEN);
    let place = Place::new();
    let text = format!(r#"{{"credHelpers": {{"{}": "of-nobody"}}}}"#, registry.host);
    place.write("docker/config.json", &text);
    let error = pull(&place.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
    let text = story(&error);
    assert!(
        text.contains("cannot start the credential helper docker-credential-of-nobody"),
        "{text}"
    );
}

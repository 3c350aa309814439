//! Who gets to see what proves an identity: the registry that was asked, and the token server that it names itself.

use crate::support::images::{bytes, layers, single};
use crate::support::registry::{Auth, Fault, Registry};
use crate::support::{Place, options, story};
use knarr_core::image::Reference;
use knarr_packager::Silent;
use knarr_packager::registry::{PushOptions, pull, push};

const GUARDED: Auth = Auth::PasswordToken { user: "me", password: "secret" };

/// Somebody who holds everything and wants to know who asks.
fn curious() -> Registry {
    let registry = Registry::start();
    registry.auth(Auth::PasswordToken { user: "somebody", password: "else" });
    registry
}

/// Whoever is logged in at a registry, which holds an image.
fn logged_in(auth: Auth, entry: &str) -> (Registry, Place, Reference) {
    let (registry, place) = (Registry::start(), Place::new());
    let image = single(&place.store, "one");
    registry.hold(&place.store, &image.descriptor, "one", "1");
    registry.auth(auth);
    let host = &registry.host;
    place.write("docker/config.json", &format!(r#"{{"auths": {{"{host}": {entry}}}}}"#));
    let reference = format!("{}/one:1", registry.host).parse().unwrap();
    (registry, place, reference)
}

/// `me:secret`
const PASSWORD: &str = r#"{"auth": "bWU6c2VjcmV0"}"#;

#[track_caller]
fn learned_nothing(registry: &Registry) {
    for request in registry.log() {
        assert_eq!(request.headers.get("authorization"), None, "{}", request.path);
        assert!(!request.path.starts_with("/token"), "{}", request.path);
        let body = String::from_utf8_lossy(&request.body).into_owned();
        assert!(!body.contains("refresh") && !request.path.contains("me"), "{body}");
    }
}

#[test]
fn a_redirect_leads_to_somebody_who_wants_to_know_who_asks() {
    for part in ["/blobs/", "/manifests/"] {
        let (registry, place, reference) = logged_in(GUARDED, PASSWORD);
        let curious = curious();
        let to = format!("http://{}/v2/one/blobs/x", curious.host);
        registry.always(part, Fault::Redirect(to));
        let other = Place::new();
        pull(&other.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
        assert!(!curious.log().is_empty());
        learned_nothing(&curious);
        // nor does the registry's own token server get asked again for it
        assert!(registry.count("GET", "/token") <= 1);
    }
}

#[test]
fn a_detour_back_is_still_one() {
    let (registry, place, reference) = logged_in(GUARDED, PASSWORD);
    let detour = Registry::start();
    detour.always("/", Fault::Redirect(format!("http://{}/v2/one/blobs/chosen", registry.host)));
    let to = format!("http://{}/away", detour.host);
    registry.script(move |request| {
        let is_blob = request.path.contains("/blobs/sha256");
        is_blob.then(|| Fault::Redirect(to.clone()))
    });
    let other = Place::new();
    pull(&other.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
    let chosen: Vec<_> =
        registry.log().into_iter().filter(|r| r.path.ends_with("/chosen")).collect();
    assert!(!chosen.is_empty());
    assert!(chosen.iter().all(|request| !request.headers.contains_key("authorization")));
}

#[test]
fn a_token_server_sends_elsewhere() {
    for entry in [PASSWORD, r#"{"identitytoken": "refresh-me"}"#] {
        let (tokens, curious) = (Registry::start(), curious());
        tokens.always("/token", Fault::Redirect(format!("http://{}/token2", curious.host)));
        let realm = format!("http://{}/token", tokens.host);
        let (_registry, place, reference) = logged_in(Auth::TokenFrom(realm), entry);
        let other = Place::new();
        pull(&other.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
        assert!(!tokens.log().is_empty());
        for request in curious.log() {
            assert_eq!(request.headers.get("authorization"), None);
            assert!(request.body.is_empty());
        }
    }
}

#[test]
fn uploads_go_elsewhere() {
    let (registry, place, _) = logged_in(GUARDED, PASSWORD);
    let curious = curious();
    let reference: Reference = format!("{}/new:1", registry.host).parse().unwrap();
    let image = place.store.find("one").unwrap();
    place.store.tag(&reference, image.descriptor).unwrap();
    let to = format!("http://{}/v2/new/blobs/uploads/1?state=x", curious.host);
    registry.script(move |request| (request.method == "POST").then(|| Fault::Upload(to.clone())));
    push(&place.store, &reference, &PushOptions::default(), &place.config(), &Silent).unwrap_err();
    assert!(!curious.log().is_empty());
    learned_nothing(&curious);
}

#[test]
fn a_mirror_has_a_name_of_its_own() {
    let (registry, place, reference) = logged_in(GUARDED, PASSWORD);
    let mirror = curious();
    let mirrors = format!(r#"{{"mirrors": {{"{}": ["{}"]}}}}"#, registry.host, mirror.host);
    place.write("knarr/registries.json", &mirrors);
    let other = Place::new();
    pull(&other.store, &reference, &options(), &place.config(), &Silent).unwrap();
    assert!(!mirror.log().is_empty());
    for request in mirror.log() {
        assert_eq!(request.headers.get("authorization"), None, "{}", request.path);
    }
}

#[test]
fn a_redirect_that_stays_is_followed_with_everything() {
    let (registry, place, reference) = logged_in(GUARDED, PASSWORD);
    let image = place.store.find("one").unwrap();
    let layer = layers(&place.store, &image, "linux/amd64")[0].clone();
    registry.hold_blob(&format!("moved/{}", layer.digest()), &bytes(&place.store, layer.digest()));
    let to = format!("/v2/moved/blobs/{}", layer.digest());
    registry.always(format!("/one/blobs/{}", layer.digest()), Fault::Redirect(to));
    let other = Place::new();
    pull(&other.store, &reference, &options(), &place.config(), &Silent).unwrap();
    // in a circle it ends
    registry.script(|request| {
        let again = Fault::Redirect("/v2/one/manifests/1".into());
        request.path.contains("/manifests/").then_some(again)
    });
    let error = pull(&other.store, &reference, &options(), &place.config(), &Silent).unwrap_err();
    assert!(story(&error).contains("too many redirects"), "{error}");
}

#[test]
fn what_keeps_credentials_from_being_read_is_told_and_does_no_harm() {
    use crate::support::Recorder;
    for (text, expected) in [
        ("{", "config.json is not valid JSON"),
        (r#"{"auths": 7}"#, "config.json has a field \"auths\" of the wrong type"),
        (r#"{"credsStore": "of-nobody"}"#, "docker-credential-of-nobody"),
        (r#"{"credHelpers": {"HOST": "of-nobody"}}"#, "docker-credential-of-nobody"),
        (r#"{"auths": {"HOST": {"auth": "!"}}}"#, "cannot be decoded"),
    ] {
        let (registry, maker) = (Registry::start(), Place::new());
        let image = single(&maker.store, "one");
        registry.hold(&maker.store, &image.descriptor, "one", "1");
        registry.auth(Auth::AnonymousToken);
        let place = Place::new();
        place.write("docker/config.json", &text.replace("HOST", &registry.host));
        let reference: Reference = format!("{}/one:1", registry.host).parse().unwrap();
        let told = Recorder::default();
        pull(&place.store, &reference, &options(), &place.config(), &told).unwrap();
        let lines = told.lines.lock().unwrap().join("\n");
        assert!(lines.contains("warning: ") && lines.contains("docker/config.json"), "{lines}");
        assert!(lines.contains(expected), "{lines}");
        // where nobody is let in without, it is the error
        registry.auth(GUARDED);
        let place_config = place.config();
        let error = pull(&Place::new().store, &reference, &options(), &place_config, &Silent);
        assert!(story(&error.unwrap_err()).contains("docker/config.json"));
    }
}

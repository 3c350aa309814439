//! Pull policies.

use crate::support::images::app;
use crate::support::registry::Registry;
use crate::support::{Place, for_platform, options, story};
use knarr_packager::Silent;
use knarr_packager::registry::{Error, PullOptions, PullPolicy, ensure, pull};

fn with_app() -> (Registry, String) {
    let (registry, maker) = (Registry::start(), Place::new());
    let image = app(&maker.store, "app");
    registry.hold(&maker.store, &image.descriptor, "app", "latest");
    let name = format!("{}/app", registry.host);
    (registry, name)
}

#[test]
fn missing_pulls_once() {
    let (registry, name) = with_app();
    let place = Place::new();
    let go = |text: &str, options: &PullOptions| {
        ensure(&place.store, text, PullPolicy::Missing, options, &place.config(), &Silent)
    };
    let image = go(&name, &options()).unwrap();
    registry.clear();
    assert_eq!(go(&name, &options()).unwrap(), place.store.find(&name).unwrap());
    // by id too
    assert_eq!(go(&image.id().digest()[..12], &options()).unwrap().id(), image.id());
    assert!(registry.log().is_empty());
    // the variant that is not there yet
    go(&name, &for_platform("linux/amd64")).unwrap();
    assert_eq!(registry.count("GET", "/blobs/"), 4);
}

#[test]
fn always_asks_and_never_does_not() {
    let (registry, name) = with_app();
    let place = Place::new();
    let go = |policy| ensure(&place.store, &name, policy, &options(), &place.config(), &Silent);
    let error = go(PullPolicy::Never).unwrap_err();
    assert!(matches!(error, Error::NotPresent { .. }), "{error:?}");
    assert!(story(&error).contains(&format!("hint: run 'knarr pull {name}' first")));
    assert!(registry.log().is_empty());
    go(PullPolicy::Always).unwrap();
    registry.clear();
    go(PullPolicy::Always).unwrap();
    assert_eq!(registry.log().len(), 1);
    go(PullPolicy::Never).unwrap();
    assert_eq!(registry.log().len(), 1);
}

#[test]
fn what_cannot_run_is_refused_before_its_layers_come() {
    let (registry, name) = with_app();
    let place = Place::new();
    let mut options = for_platform("linux/amd64");
    options.runnable.native = vec!["linux/arm64".parse().unwrap()];
    let config = place.config();
    let error = ensure(&place.store, &name, PullPolicy::Missing, &options, &config, &Silent);
    let text = story(&error.unwrap_err());
    assert!(
        text.contains("this machine cannot run linux/amd64; it runs wasi/wasm, linux/arm64"),
        "{text}"
    );
    assert_eq!(registry.count("GET", "/blobs/"), 0);
    // which `pull` does not mind
    pull(&place.store, &name.parse().unwrap(), &options, &config, &Silent).unwrap();
}

#[test]
fn no_reference_at_all() {
    let place = Place::new();
    let error =
        ensure(&place.store, "No Image", PullPolicy::Missing, &options(), &place.config(), &Silent);
    assert!(matches!(error, Err(Error::NotAReference(..))));
}

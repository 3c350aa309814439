//! The health check of a container.

use super::{Error, RunOptions};
use knarr_core::image::config::{ExecutionConfig, Healthcheck};
use knarr_core::spec::OnUnhealthy;

/// The user's; what it leaves open (0, empty) comes from the image.
pub(super) fn healthcheck(
    config: &ExecutionConfig,
    options: &RunOptions,
) -> Result<Option<Healthcheck>, Error> {
    let check = match (&options.healthcheck, &config.healthcheck) {
        (Some(user), Some(image)) => Some(merge(user, image)),
        (user, image) => user.as_ref().or(image.as_ref()).cloned(),
    };
    if let Some(check) = &check {
        check.check()?;
    }
    let is_active = check.as_ref().is_some_and(Healthcheck::is_active);
    match options.on_unhealthy {
        OnUnhealthy::None => Ok(check),
        _ if is_active => Ok(check),
        _ => Err(Error::NoHealthcheck),
    }
}

fn merge(user: &Healthcheck, image: &Healthcheck) -> Healthcheck {
    let or = |user: u64, image: u64| if user == 0 { image } else { user };
    Healthcheck {
        test: if user.test.is_empty() { &image.test } else { &user.test }.clone(),
        interval: or(user.interval, image.interval),
        timeout: or(user.timeout, image.timeout),
        start_period: or(user.start_period, image.start_period),
        start_interval: or(user.start_interval, image.start_interval),
        retries: or(user.retries, image.retries),
    }
}

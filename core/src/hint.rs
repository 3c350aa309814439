//! What a user can do about an error, kept apart from the message and attached where the cause is known.

use std::error::Error;
use std::io;

/// An error that may know a remedy.
pub trait Hint {
    /// One sentence that tells the user what to do next, without a full stop: `run 'knarr pull app' first`.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// The remedy of what is at the bottom of any error, whoever met it: for errors that have no better one.
pub fn of_cause(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(hint) = error.downcast_ref::<io::Error>().and_then(of_io) {
            return Some(hint);
        }
        cause = error.source();
    }
    None
}

/// The remedy of a failed system call, as far as it is the same for everybody.
pub fn of_io(error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free some disk space, for example with 'knarr system prune'".into())
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("it is on a read-only file system: choose another place with --root".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fsx, record};

    #[test]
    fn a_full_disk_is_known_at_any_depth() {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        let file = fsx::Error { operation: "write", path: "/x".into(), source };
        let error = crate::store::Error::Layer(record::Error::from(file));
        assert!(of_cause(&error).unwrap().contains("knarr system prune"));
        assert_eq!(of_cause(&io::Error::from(io::ErrorKind::NotFound)), None);
    }
}

//! What a user can do about an error, kept apart from the message and attached where the cause is known.

/// An error that may know a remedy.
pub trait Hint {
    /// One sentence that tells the user what to do next, without a full stop: `run 'knarr pull app' first`.
    fn hint(&self) -> Option<String> {
        None
    }
}

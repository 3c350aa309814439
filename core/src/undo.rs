//! Undoing exactly the prefix of a sequence of acts that was done.

/// A stack of undo steps, run in reverse order unless [`Undo::commit`] is called.
///
/// Dropping it undoes: an early `?` leaves the host as it was.
#[derive(Default)]
#[must_use = "dropping it at once undoes everything"]
pub struct Undo<'a> {
    steps: Vec<Box<dyn FnOnce() + 'a>>,
}

impl<'a> Undo<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers how to undo what was just done.
    pub fn push(&mut self, step: impl FnOnce() + 'a) {
        self.steps.push(Box::new(step));
    }

    /// Everything succeeded: nothing is to be undone.
    pub fn commit(mut self) {
        self.steps.clear();
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        while let Some(step) = self.steps.pop() {
            step();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn undoes_in_reverse_unless_committed() {
        let log = RefCell::new(Vec::new());
        let mut undo = Undo::new();
        undo.push(|| log.borrow_mut().push(1));
        undo.push(|| log.borrow_mut().push(2));
        drop(undo);
        assert_eq!(*log.borrow(), [2, 1]);
        let mut undo = Undo::new();
        undo.push(|| log.borrow_mut().push(3));
        undo.commit();
        assert_eq!(*log.borrow(), [2, 1]);
    }
}

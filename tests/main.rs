//! End-to-end tests: each has its own root directory, checks the kernel and the store, and never sleeps.

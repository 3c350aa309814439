//! What differs between operating systems, and calls the kernel directly.

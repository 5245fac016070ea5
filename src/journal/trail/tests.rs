//! The trail.

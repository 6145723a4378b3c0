//! In-process tests of the whole door.

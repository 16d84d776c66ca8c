//! A disk that is full or fails, as a whole process meets it: each test starts itself again, in a small file system or
//! with a shim that makes calls fail.
//!
//! These tests are a program of their own: between its fork and its exec, a process that is started holds the locks of all stores
//! that are open in the one that starts it.

mod faults;
#[expect(dead_code, reason = "the other tests of the buffer use the rest")]
#[path = "../buffer/fixture.rs"]
mod fixture;
mod full_disk;

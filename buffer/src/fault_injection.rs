//! Disk faults on demand, for this crate's unit tests: what a test plans for a directory, the
//! operations below it meet. Nothing of it is in the product.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::shared::lock;

static PLANS: Mutex<Vec<Plan>> = Mutex::new(Vec::new());

struct Plan {
    below: PathBuf,
    operation: &'static str,
    /// Let pass before the first fault.
    pass: usize,
    times: usize,
    errno: i32,
}

/// Has `operation` below a directory fail `times` times with `errno`, after it went well `pass` times.
pub(crate) fn plan(below: &Path, operation: &'static str, pass: usize, times: usize, errno: i32) {
    lock(&PLANS).push(Plan { below: below.to_owned(), operation, pass, times, errno });
}

/// Takes back what was planned for a directory.
pub(crate) fn heal(below: &Path) {
    lock(&PLANS).retain(|plan| plan.below != below);
}

/// Fails if that is planned.
pub(crate) fn check(path: &Path, operation: &str) -> io::Result<()> {
    let mut plans = lock(&PLANS);
    let due = plans.iter_mut().find(|plan| plan.operation == operation && path.starts_with(&plan.below));
    match due {
        Some(plan) if plan.pass > 0 => plan.pass -= 1,
        Some(plan) if plan.times > 0 => {
            plan.times -= 1;
            return Err(io::Error::from_raw_os_error(plan.errno));
        }
        Some(_) | None => {}
    }
    Ok(())
}

//! Whose files a command may make.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;

use crate::exit::Exit;

/// Files that another user makes in a folder of the gateway would keep the gateway from it. A folder that is not
/// there yet will belong to whoever has the one above.
pub(super) fn may_write(what: &str, folder: &Path) -> Result<(), Exit> {
    let owner = |path: &Path| fs::metadata(path).map(|found| found.uid());
    let theirs = folder.ancestors().map(|path| if path == Path::new("") { Path::new(".") } else { path });
    let theirs = theirs.map(owner).find(|owner| !is_missing(owner)).unwrap_or_else(|| owner(folder));
    let both = theirs.and_then(|theirs| Ok((theirs, owner(Path::new("/proc/self"))?)));
    let (theirs, ours) = both.with_context(|| format!("cannot look at {}", folder.display()))?;
    if theirs == ours {
        return Ok(());
    }
    let path = folder.display();
    Err(Exit::no_permission(format_args!(
        "{what} in {path} belongs to user {theirs}: run this as that user, for example with \
         `sudo -u '#{theirs}' penstock …`, so that the gateway can use its files afterwards"
    )))
}

fn is_missing(owner: &io::Result<u32>) -> bool {
    owner.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

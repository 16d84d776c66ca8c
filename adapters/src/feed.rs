//! What fuzzing stands on: any bytes as choices, and the replay of a corpus. Compiled only for fuzzing and tests.

/// Bytes, one after the other; zeros once they are used up.
pub(crate) struct Feed<'a>(pub(crate) &'a [u8]);

impl Feed<'_> {
    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// The next eight, as any float.
    pub(crate) fn float(&mut self) -> f64 {
        f64::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// What is left, as registers.
    pub(crate) fn words(&self) -> Vec<u16> {
        self.0.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }
}

/// Feeds `target` with its corpus.
#[cfg(test)]
pub(crate) fn replay(name: &str, target: fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut fed = 0;
    for file in files {
        let path = file.expect("the folder can be read").path();
        let bytes = std::fs::read(&path).expect("the file can be read");
        let held = std::panic::catch_unwind(|| target(&bytes));
        assert!(held.is_ok(), "{} broke it", path.display());
        fed += 1;
    }
    assert!(fed >= 10, "only {fed} files in {}", folder.display());
}

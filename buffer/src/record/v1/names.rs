//! The names of a block: each text once, and an index wherever it is used.

use std::str::FromStr;

use penstock_events::{AssetPath, TagPath};
use rustc_hash::FxHashMap;

use super::InvalidBody;

/// A place in a block's list of names.
pub(super) type NameIndex = u32;

/// Gives each name of a block an index, in the order of first use.
#[derive(Default)]
pub(super) struct Interner<'a> {
    list: Vec<&'a str>,
    /// The names come from the configuration: nobody outside can choose them to collide.
    places: FxHashMap<&'a str, NameIndex>,
}

impl<'a> Interner<'a> {
    pub(super) fn index(&mut self, name: &'a str) -> NameIndex {
        *self.places.entry(name).or_insert_with(|| {
            self.list.push(name);
            NameIndex::try_from(self.list.len() - 1).expect("a block has a few hundred names")
        })
    }

    pub(super) fn into_list(self) -> Vec<&'a str> {
        self.list
    }
}

/// The names of a block. Assets and tags, which repeat in almost every record, are parsed once and
/// shared after that.
pub(super) struct Names<'a> {
    texts: Vec<&'a str>,
    assets: Vec<Option<AssetPath>>,
    tags: Vec<Option<TagPath>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(texts: Vec<&'a str>) -> Self {
        Self { assets: vec![None; texts.len()], tags: vec![None; texts.len()], texts }
    }

    pub(super) fn text(&self, index: NameIndex) -> Result<&'a str, InvalidBody> {
        let missing = InvalidBody::NoSuchName { index, names: self.texts.len() };
        self.texts.get(index as usize).copied().ok_or(missing)
    }

    pub(super) fn parse<T: FromStr>(&self, index: NameIndex) -> Result<T, InvalidBody> {
        let text = self.text(index)?;
        text.parse().map_err(|_| InvalidBody::BadName { text: text.to_owned() })
    }

    pub(super) fn asset(&mut self, index: NameIndex) -> Result<AssetPath, InvalidBody> {
        if let Some(Some(asset)) = self.assets.get(index as usize) {
            return Ok(asset.clone());
        }
        let asset: AssetPath = self.parse(index)?;
        self.assets[index as usize] = Some(asset.clone());
        Ok(asset)
    }

    pub(super) fn tag(&mut self, index: NameIndex) -> Result<TagPath, InvalidBody> {
        if let Some(Some(tag)) = self.tags.get(index as usize) {
            return Ok(tag.clone());
        }
        let tag: TagPath = self.parse(index)?;
        self.tags[index as usize] = Some(tag.clone());
        Ok(tag)
    }
}

//! Reading tables key by key. A schema asks for its keys; what is missing, of another type, out of
//! range or unknown is recorded, and reading goes on, so that one report names every problem.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::setting::{Ordered, Scalar, Setting};
use super::source::{Spot, Typing};

/// The least likeness (Jaro-Winkler) at which a known word is suggested for an unknown one.
const LIKENESS: f64 = 0.8;

/// A table that a schema reads.
pub(super) struct Table<'t> {
    entries: &'t DeTable<'t>,
    spot: Spot,
    asked: RefCell<Vec<&'static str>>,
    /// Whether the keys are the user's own.
    is_open: Cell<bool>,
    /// Whether the file has just the value of the one key instead of the table.
    is_shorthand: bool,
}

/// A key of a table, present or not.
pub(super) struct Field<'t> {
    name: &'t str,
    example: &'t str,
    value: Option<&'t DeValue<'t>>,
    spot: Spot,
}

impl<'t> Table<'t> {
    /// Reads `entries` with `schema`, then reports the keys that it did not ask for.
    pub(super) fn read<T>(entries: &'t DeTable<'t>, spot: Spot, schema: impl FnOnce(&Self) -> T) -> T {
        Self::new(entries, spot, false).finish(schema)
    }

    fn new(entries: &'t DeTable<'t>, spot: Spot, is_shorthand: bool) -> Self {
        Self { entries, spot, asked: RefCell::default(), is_open: Cell::new(false), is_shorthand }
    }

    fn finish<T>(self, schema: impl FnOnce(&Self) -> T) -> T {
        let result = schema(&self);
        self.report_unknown_keys();
        result
    }

    /// Where the table stands.
    pub(super) fn spot(&self) -> &Spot {
        &self.spot
    }

    /// The key `name`; `example` is a value that would be right, as text without quotes.
    pub(super) fn key(&self, name: &'static str, example: &'static str) -> Field<'t> {
        let value = self.ask(name);
        let spot = match value {
            Some(_) if self.is_shorthand => self.spot.clone(),
            Some(value) => self.spot.at(self.spot.path_of(name), value.span()),
            None => self.spot.renamed(self.spot.path_of(name)),
        };
        Field { name, example, value: value.map(Spanned::get_ref), spot }
    }

    /// The tables of the list `name`, each read with `schema`; those that could not be read are left
    /// out, and reported.
    pub(super) fn tables<T>(
        &self,
        name: &'static str,
        example: &str,
        mut schema: impl FnMut(&Table<'t>) -> Option<T>,
    ) -> Vec<T> {
        let mut read = Vec::new();
        self.each(name, example, |table| read.extend(schema(table)));
        read
    }

    /// Reads each of the tables of the list `name` with `schema`.
    pub(super) fn each(&self, name: &'static str, example: &str, mut schema: impl FnMut(&Table<'t>)) {
        let Some(value) = self.ask(name) else { return };
        let path = self.spot.path_of(name);
        let DeValue::Array(items) = value.get_ref() else {
            self.not_a(&self.spot.at(path, value.span()), "a list of tables", example);
            return;
        };
        for (index, item) in items.iter().enumerate() {
            let spot = self.spot.at(format!("{path}[{index}]"), item.span());
            match item.get_ref() {
                DeValue::Table(entries) => Table::read(entries, spot, &mut schema),
                _ => self.not_a(&spot, "a table", example),
            }
        }
    }

    /// The values of the list `name`; those that are wrong are left out, and reported.
    pub(super) fn list<T: Setting>(&self, name: &'static str, example: &'static str) -> Vec<T> {
        let Some(value) = self.ask(name) else { return Vec::new() };
        let spot = self.spot.at(self.spot.path_of(name), value.span());
        let DeValue::Array(items) = value.get_ref() else {
            self.not_a(&spot, "a list", &format!("{name} = [{example:?}]"));
            return Vec::new();
        };
        let read = |(index, item): (usize, &'t Spanned<DeValue<'t>>)| {
            let spot = spot.at(format!("{}[{index}]", spot.path), item.span());
            Field { name, example, value: Some(item.get_ref()), spot }.optional()
        };
        items.iter().enumerate().filter_map(read).collect()
    }

    /// The table `name`, read with `schema`; none when it is absent.
    pub(super) fn table<T>(
        &self,
        name: &'static str,
        example: &str,
        schema: impl FnOnce(&Table<'t>) -> T,
    ) -> Option<T> {
        let value = self.ask(name)?;
        let spot = self.spot.at(self.spot.path_of(name), value.span());
        match value.get_ref() {
            DeValue::Table(entries) => Some(Table::read(entries, spot, schema)),
            _ => {
                self.not_a(&spot, "a table", example);
                None
            }
        }
    }

    /// The table `name`, or just the value of its key `short`, read with `schema`.
    pub(super) fn table_or<T>(
        &self,
        name: &'static str,
        short: &'static str,
        example: &str,
        schema: impl FnOnce(&Table<'_>) -> T,
    ) -> Option<T> {
        let value = self.ask(name)?;
        if let DeValue::Table(_) = value.get_ref() {
            return self.table(name, example, schema);
        }
        let spot = self.spot.at(self.spot.path_of(name), value.span());
        let entries = DeTable::from_iter([(Spanned::new(value.span(), short.into()), value.clone())]);
        Some(Table::new(&entries, spot, true).finish(schema))
    }

    /// Every entry of a table whose keys are the user's own, in the order of the file.
    pub(super) fn own_keys(&self, example: &'t str) -> Vec<Field<'t>> {
        let mut fields = Vec::with_capacity(self.entries.len());
        for (key, value) in self.entries {
            let spot = self.spot.at(self.spot.path_of(key.get_ref()), key.span().start..value.span().end);
            fields.push((
                key.span().start,
                Field { name: key.get_ref(), example, value: Some(value.get_ref()), spot },
            ));
        }
        fields.sort_by_key(|(start, _)| *start);
        self.is_open.set(true);
        fields.into_iter().map(|(_, field)| field).collect()
    }

    /// Whether none of `names` is there; an empty list is nothing.
    pub(super) fn is_bare(&self, names: &[&str]) -> bool {
        let is_something =
            |value: &Spanned<DeValue<'_>>| value.get_ref().as_array().is_none_or(|list| !list.is_empty());
        !names.iter().any(|name| self.entries.get(*name).is_some_and(is_something))
    }

    fn ask(&self, name: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.asked.borrow_mut().push(name);
        #[cfg(test)]
        self.spot.note_known(&self.spot.path_of(name));
        self.entries.get(name)
    }

    fn not_a(&self, spot: &Spot, what: &str, example: &str) {
        let key = spot.path.rsplit('.').next().unwrap_or_default();
        spot.error(format!("`{key}` must be {what}")).allowed(what).example(example).record();
    }

    fn report_unknown_keys(&self) {
        if self.is_open.get() {
            return;
        }
        let asked = self.asked.borrow();
        for (key, _) in self.entries {
            let key_text: &str = key.get_ref();
            if asked.contains(&key_text) {
                continue;
            }
            let spot = self.spot.at(self.spot.path_of(key_text), key.span());
            let message = match nearest(key_text, asked.iter().copied()) {
                Some(known) => format!("unknown key `{key_text}`; did you mean `{known}`?"),
                None => format!("unknown key `{key_text}`"),
            };
            let mut known = asked.clone();
            known.sort_unstable();
            known.dedup();
            spot.error(message).allowed(known.join(", ")).record();
        }
    }
}

impl<'t> Field<'t> {
    /// Where the value stands, or the table that lacks it.
    pub(super) fn spot(&self) -> &Spot {
        &self.spot
    }

    /// The key.
    pub(super) fn name(&self) -> &'t str {
        self.name
    }

    /// The value, which must be there.
    pub(super) fn required<T: Setting>(&self) -> Option<T> {
        if !self.is_present() {
            self.report_missing::<T>(T::allowed());
        }
        self.optional()
    }

    /// The value, or none when it is absent or wrong.
    pub(super) fn optional<T: Setting>(&self) -> Option<T> {
        self.read(T::allowed)
    }

    /// The value, or `default` when it is absent (or wrong, which is reported).
    pub(super) fn or<T: Setting>(&self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// The value, within `range`, or none when it is absent or wrong.
    pub(super) fn optional_in<T: Ordered>(&self, range: RangeInclusive<T>) -> Option<T> {
        let (least, most) = range.into_inner();
        let allowed = || format!("{}, from {} to {}", T::allowed(), least.show(), most.show());
        let value: T = self.read(allowed)?;
        let complaint = if value < least {
            format!("is less than {}", least.show())
        } else if value > most {
            format!("is more than {}", most.show())
        } else {
            return Some(value);
        };
        self.reject::<T>(&complaint, allowed());
        None
    }

    /// The value, within `range`, or `default`.
    pub(super) fn or_in<T: Ordered>(&self, default: T, range: RangeInclusive<T>) -> T {
        self.optional_in(range).unwrap_or(default)
    }

    /// One of `options`, or none when it is absent or wrong.
    pub(super) fn choice<T: Copy>(&self, options: &[(&'static str, T)]) -> Option<T> {
        let word: String = self.optional()?;
        let found = options.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            let names = || options.iter().map(|(name, _)| *name);
            let hint =
                nearest(&word, names()).map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
            self.reject::<String>(
                &format!("is not one of the allowed words{hint}"),
                names().collect::<Vec<_>>().join(", "),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// One of `options`, which must be there.
    pub(super) fn required_choice<T: Copy>(&self, options: &[(&'static str, T)]) -> Option<T> {
        if !self.is_present() {
            let names: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
            self.report_missing::<String>(names.join(", "));
        }
        self.choice(options)
    }

    /// Whether the value is text.
    pub(super) fn is_text(&self) -> bool {
        self.value.is_some_and(DeValue::is_str)
    }

    /// Whether the key is there; an empty cell of a tag list is not.
    pub(super) fn is_present(&self) -> bool {
        let is_cell = self.spot.file().typing() != Typing::Toml;
        let is_blank = |value: &DeValue<'_>| value.as_str().is_some_and(|text| text.trim().is_empty());
        self.value.is_some_and(|value| !(is_cell && is_blank(value)))
    }

    fn read<T: Setting>(&self, allowed: impl FnOnce() -> String) -> Option<T> {
        let value = self.value.filter(|_| self.is_present())?;
        T::read(&Scalar::of(value, self.spot.file().typing()))
            .map_err(|complaint| self.reject::<T>(&complaint, allowed()))
            .ok()
    }

    fn report_missing<T: Setting>(&self, allowed: String) {
        self.spot
            .error(format!("`{}` is missing", self.name))
            .found("nothing")
            .allowed(allowed)
            .example(self.example_of::<T>())
            .record();
    }

    fn reject<T: Setting>(&self, complaint: &str, allowed: String) {
        self.spot
            .error(format!("`{}` {complaint}", self.name))
            .allowed(allowed)
            .example(self.example_of::<T>())
            .record();
    }

    fn example_of<T: Setting>(&self) -> String {
        match (self.spot.file().typing(), T::QUOTED) {
            (Typing::Toml, true) => format!("{} = {:?}", self.name, self.example),
            _ => format!("{} = {}", self.name, self.example),
        }
    }
}

/// The known word that `word` was probably meant to be.
pub(super) fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

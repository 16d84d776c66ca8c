//! The sources and tags of a configuration, what their readings mean, and who refers to them.
//! It knows no protocol.

use std::collections::HashMap;
use std::sync::Arc;

use penstock_events::normalizer::{AlertRule, Pattern, Rule, TagPlan, TelemetryRule};
use penstock_events::{AssetPath, SourceId, SourceName, TagId, TagName, TagPath};

use super::source::Spot;
use super::table::{Field, nearest};
use crate::terminal::counted;

/// How many names a warning lists before it only counts.
const MAX_NAMES_LISTED: usize = 5;
/// How many business events the tags of one source may raise in one poll: with the event that the source
/// is up, they are stored in one commit with the state that explains them.
const MAX_FACTS_PER_SOURCE: usize = penstock_buffer::MAX_APPEND_EVENTS - 1;

/// What a tag's values can mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Meaning {
    /// True or false: a state.
    Switch,
    /// Whole numbers from `lowest` to `highest`: a state or a count.
    Whole {
        /// The least value.
        lowest: i64,
        /// The greatest value.
        highest: u64,
    },
    /// Anything else: measured, or text.
    Measured,
    /// Whatever the source says that it is, which shows when it is read.
    Told,
    /// It has no values: it stands for conditions, such as alarms.
    Conditions,
}

/// A tag that was declared.
#[derive(Debug)]
pub(super) struct KnownTag {
    /// Its path.
    pub(super) path: TagPath,
    /// Its unit.
    pub(super) unit: Option<Arc<str>>,
    /// What its values can mean; none when its declaration is wrong.
    pub(super) meaning: Option<Meaning>,
    source: SourceId,
    spot: Spot,
    rules: Vec<Rule>,
    alerts: Vec<(AlertRule, Spot)>,
    reported_for: HashMap<AssetPath, Spot>,
    counted_at: Option<Spot>,
}

struct KnownSource {
    name: SourceName,
    spot: Spot,
    /// Whether all its tags are known: if not, one that is unknown may be no mistake.
    is_complete: bool,
}

/// Everything that can be referred to.
#[derive(Default)]
pub(super) struct Catalog {
    sources: Vec<KnownSource>,
    source_by_name: HashMap<SourceName, SourceId>,
    tags: Vec<KnownTag>,
    tag_by_path: HashMap<TagPath, TagId>,
    has_nameless_source: bool,
}

impl Catalog {
    /// Takes a source in. Without a name it is only read for its mistakes.
    pub(super) fn declare_source(&mut self, name: Option<SourceName>, spot: &Spot) -> (SourceId, SourceName) {
        let id = SourceId(index(self.sources.len()));
        self.has_nameless_source |= name.is_none();
        let name = name.unwrap_or_else(|| "unnamed".parse().expect("a name of plain letters"));
        if let Some(first) = self.source_by_name.get(&name) {
            duplicate(spot, "source", name.as_str(), &self.sources[first.0 as usize].spot);
        } else {
            self.source_by_name.insert(name.clone(), id);
        }
        self.sources.push(KnownSource { name: name.clone(), spot: spot.clone(), is_complete: true });
        (id, name)
    }

    /// Says that some tags of `source` could not be read.
    pub(super) fn mark_incomplete(&mut self, source: SourceId) {
        self.sources[source.0 as usize].is_complete = false;
    }

    /// Whether every tag of `source` could be read.
    pub(super) fn is_complete(&self, source: SourceId) -> bool {
        self.sources[source.0 as usize].is_complete
    }

    /// Takes a tag in, whatever else is wrong with it.
    pub(super) fn declare_tag(&mut self, source: SourceId, name: &TagName, spot: &Spot) -> (TagId, TagPath) {
        let id = TagId(index(self.tags.len()));
        let path = TagPath::new(&self.sources[source.0 as usize].name, name);
        if let Some(first) = self.tag_by_path.get(&path) {
            duplicate(spot, "tag", path.as_str(), &self.tag(*first).spot);
        } else {
            self.tag_by_path.insert(path.clone(), id);
        }
        self.tags.push(KnownTag {
            path: path.clone(),
            unit: None,
            meaning: None,
            source,
            spot: spot.clone(),
            rules: Vec::new(),
            alerts: Vec::new(),
            reported_for: HashMap::new(),
            counted_at: None,
        });
        (id, path)
    }

    /// Adds what is known of a tag whose declaration is right.
    pub(super) fn describe_tag(&mut self, id: TagId, meaning: Meaning, unit: Option<Arc<str>>) {
        let tag = &mut self.tags[id.0 as usize];
        (tag.meaning, tag.unit) = (Some(meaning), unit);
    }

    /// The tag `id`, which this catalog gave out.
    pub(super) fn tag(&self, id: TagId) -> &KnownTag {
        &self.tags[id.0 as usize]
    }

    /// How many tags of `source` were declared.
    pub(super) fn tags_of(&self, source: SourceId) -> usize {
        self.tags.iter().filter(|tag| tag.source == source).count()
    }

    /// The tag that `field` names, which has values; a name that nothing has is reported.
    pub(super) fn resolve(&self, field: &Field<'_>) -> Option<TagId> {
        let id = self.find(field)?;
        if self.tag(id).meaning == Some(Meaning::Conditions) {
            let message = format!("`{}` stands for alarms, and has no value", self.tag(id).path);
            field
                .spot()
                .error(message)
                .allowed("a tag of `tags`; alarms go into the asset's `alerts`")
                .record();
            return None;
        }
        Some(id)
    }

    /// The tag that `field` names, which stands for conditions.
    pub(super) fn resolve_conditions(&self, field: &Field<'_>) -> Option<TagId> {
        let id = self.find(field)?;
        match self.tag(id).meaning? {
            Meaning::Conditions => Some(id),
            _ => {
                let message = format!("`{}` is a value, and tells of no alarms", self.tag(id).path);
                let spot = field.spot();
                spot.error(message).allowed("one of the `alarms` of an OPC UA server").record();
                None
            }
        }
    }

    fn find(&self, field: &Field<'_>) -> Option<TagId> {
        let path: TagPath = field.required()?;
        let found = self.tag_by_path.get(&path).copied();
        if found.is_none() {
            self.report_unknown(field, path.as_str());
        }
        found
    }

    /// The tags with values that match `pattern`: a tag's path in which `*` stands for any characters.
    pub(super) fn matching(&self, pattern: &str) -> Vec<TagId> {
        let pattern = Pattern::new(pattern);
        let indices = 0..index(self.tags.len());
        let is_meant =
            |tag: &KnownTag| tag.meaning != Some(Meaning::Conditions) && pattern.matches(tag.path.as_str());
        indices.map(TagId).filter(|id| is_meant(self.tag(*id))).collect()
    }

    /// Reports that nothing has the name `path`, unless that follows from another problem.
    pub(super) fn report_unknown(&self, field: &Field<'_>, path: &str) {
        let (source, tag) = path.split_once('.').unwrap_or((path, ""));
        let known = self.source_by_name.get(source).map(|id| &self.sources[id.0 as usize]);
        let (message, allowed) = match known {
            Some(source) if !source.is_complete => return,
            None if self.has_nameless_source => return,
            Some(known) => {
                let names = || self.paths_of(&known.name);
                let hint = suggestion(nearest(path, names()));
                (format!("source `{source}` has no tag `{tag}`{hint}"), listed(names()))
            }
            None => {
                let names = || self.sources.iter().map(|source| source.name.as_str());
                let hint = suggestion(nearest(source, names()));
                (format!("no source is named `{source}`{hint}"), listed(names()))
            }
        };
        field.spot().error(message).allowed(allowed).record();
    }

    fn paths_of<'a>(&'a self, source: &'a SourceName) -> impl Iterator<Item = &'a str> {
        let of_source =
            |path: &&str| path.strip_prefix(source.as_str()).is_some_and(|rest| rest.starts_with('.'));
        self.tags.iter().map(|tag| tag.path.as_str()).filter(of_source)
    }

    /// Says what readings of a tag mean.
    pub(super) fn add_rule(&mut self, id: TagId, rule: Rule) {
        self.tags[id.0 as usize].rules.push(rule);
    }

    /// Says whose alerts conditions of a tag are. The first entry that one matches has it, so that none may come
    /// after an entry that leaves nothing.
    pub(super) fn add_alert(&mut self, id: TagId, rule: AlertRule, spot: &Spot) {
        let KnownTag { alerts, rules, .. } = &mut self.tags[id.0 as usize];
        let covers = |known: &Pattern, other: &Pattern| *known == Pattern::any() || known == other;
        let takes_all = |known: &AlertRule| {
            covers(&known.source, &rule.source) && covers(&known.condition, &rule.condition)
        };
        if let Some((_, first)) = alerts.iter().find(|(known, _)| takes_all(known)) {
            spot.error(format!("the entry at {} leaves no alarm for this one", first.reference()))
                .allowed("entries that take the more go last: an alarm is the first one's that it matches")
                .example("alerts = [{ tag = \"oven.alarms\", source = \"Zone 1*\" }]")
                .record();
        }
        rules.push(Rule::Alert(rule.clone()));
        alerts.push((rule, spot.clone()));
    }

    /// Notes that the tag counts pieces at `spot`. Counted twice, each piece would be two.
    pub(super) fn note_counter(&mut self, id: TagId, spot: &Spot) {
        let KnownTag { path, counted_at, .. } = &mut self.tags[id.0 as usize];
        match counted_at {
            Some(first) => {
                spot.error(format!("`{path}` is already counted at {}", first.reference()))
                    .allowed("a counter of its own for good pieces and for scrap, and for each asset")
                    .example("produced = { good = \"press-1.good\", scrap = \"press-1.scrap\" }")
                    .record();
            }
            None => *counted_at = Some(spot.clone()),
        }
    }

    /// Reports sources of which one poll could have more business events than the buffer takes at once.
    pub(super) fn report_too_many_facts(&self) {
        for (index, source) in self.sources.iter().enumerate() {
            let rules =
                self.tags.iter().filter(|tag| tag.source.0 as usize == index).flat_map(|tag| &tag.rules);
            let facts = rules.filter(|rule| !matches!(rule, Rule::Telemetry(_) | Rule::Alert(_))).count();
            if facts > MAX_FACTS_PER_SOURCE {
                source
                    .spot
                    .error(format!("{facts} states and counters are read from `{}`", source.name))
                    .allowed(format!(
                        "at most {MAX_FACTS_PER_SOURCE} from one device: all that one poll says is stored at once"
                    ))
                    .record();
            }
        }
    }

    /// Where the tag is already reported for `asset`.
    pub(super) fn reported(&self, id: TagId, asset: &AssetPath) -> Option<&Spot> {
        self.tag(id).reported_for.get(asset)
    }

    /// Reports the tag by exception.
    pub(super) fn add_telemetry(&mut self, id: TagId, rule: TelemetryRule, spot: Spot) {
        let tag = &mut self.tags[id.0 as usize];
        tag.reported_for.insert(rule.asset.clone(), spot);
        tag.rules.push(Rule::Telemetry(rule));
    }

    /// Warns of tags that are polled for nothing.
    pub(super) fn warn_of_unused_tags(&self) {
        for (index, source) in self.sources.iter().enumerate() {
            let unused = |tag: &&KnownTag| tag.source.0 as usize == index && tag.rules.is_empty();
            let names: Vec<&str> = self.tags.iter().filter(unused).map(|tag| tag.path.as_str()).collect();
            let Some(first) = self.tags.iter().find(unused) else { continue };
            let example = match first.meaning {
                Some(Meaning::Conditions) => format!("alerts = [{{ tag = \"{}\" }}]", first.path),
                _ => format!("telemetry = [{{ tag = \"{}.*\" }}]", source.name),
            };
            source
                .spot
                .warning(format!("{} of `{}` raise no event", counted(names.len(), "tag"), source.name))
                .found(listed(names.iter().copied()))
                .allowed("every tag that is polled is used by an asset")
                .example(example)
                .record();
        }
    }

    /// The plan's sources and tags, each at the index that is its id.
    pub(super) fn into_plan(self) -> (Vec<SourceName>, Vec<TagPlan>) {
        let tags = self.tags.into_iter();
        let tags = tags.map(|KnownTag { path, source, rules, .. }| TagPlan { path, source, rules });
        (self.sources.into_iter().map(|source| source.name).collect(), tags.collect())
    }
}

/// Names that were seen, to report the second use of one.
#[derive(Default)]
pub(super) struct Names {
    seen: HashMap<String, Spot>,
    kind: &'static str,
}

impl Names {
    /// No names of this `kind` yet.
    pub(super) fn of(kind: &'static str) -> Self {
        Self { seen: HashMap::new(), kind }
    }

    /// Takes a name in.
    pub(super) fn add(&mut self, name: &str, spot: &Spot) {
        match self.seen.get(name) {
            Some(first) => duplicate(spot, self.kind, name, first),
            None => drop(self.seen.insert(name.to_owned(), spot.clone())),
        }
    }
}

fn duplicate(spot: &Spot, kind: &str, name: &str, first: &Spot) {
    spot.error(format!("{kind} `{name}` is already defined at {}", first.reference()))
        .allowed(format!("a name that no other {kind} has"))
        .record();
}

fn suggestion(word: Option<&str>) -> String {
    word.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(MAX_NAMES_LISTED);
    names.truncate(MAX_NAMES_LISTED);
    match (names.is_empty(), more) {
        (true, _) => "none is defined".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

fn index(count: usize) -> u32 {
    u32::try_from(count).expect("a configuration file cannot hold four billion names")
}

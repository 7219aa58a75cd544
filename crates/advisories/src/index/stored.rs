//! A record as the index holds it.

use super::build::{Mark, mark};
use crate::codec::{Read, Reader, Writer};
use crate::ecosystem::is_distribution;
use crate::record::Record;
use crate::severity::{Assessment, preferred};
use jiff::Timestamp;

/// What the matcher reads of a record, in place.
pub(crate) struct RecordBlob<'a> {
    pub(crate) id: &'a str,
    pub(crate) published: Option<Timestamp>,
    pub(crate) withdrawn: Option<Timestamp>,
    pub(crate) summary: &'a str,
    pub(crate) groups: Vec<u32>,
    /// The rest, which only changes to the index need.
    tail: Reader<'a>,
}

impl<'a> RecordBlob<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            id: reader.text()?,
            published: reader.time()?,
            withdrawn: reader.time()?,
            summary: reader.text()?,
            groups: reader.short_numbers()?,
            tail: reader,
        })
    }
}

/// A record with all that is needed to make the index's groups anew without its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    pub(super) id: String,
    pub(crate) published: Option<Timestamp>,
    pub(super) withdrawn: Option<Timestamp>,
    pub(crate) summary: String,
    pub(super) groups: Vec<u32>,
    pub(super) modified: Option<Timestamp>,
    /// The source whose record this is.
    pub(super) source: String,
    /// How many sources have a record with this id.
    pub(super) holders: u64,
    pub(super) aliases: Vec<String>,
    pub(super) upstream: Vec<String>,
    /// Ecosystems that it names, sorted.
    pub(super) ecosystems: Vec<String>,
    /// The severity that it gives to its group.
    pub(crate) assessment: Option<Assessment>,
    /// Whether its summary may be the group's: a distribution's own word holds for its packages
    /// only.
    pub(crate) tells_summary: bool,
}

impl StoredRecord {
    /// The groups are still to be named.
    pub(super) fn new(record: &Record, source: &str, holders: u64) -> Self {
        let distribution = record.affected.iter().any(|a| is_distribution(&a.ecosystem));
        let statements = record
            .severity
            .iter()
            .chain(record.affected.iter().flat_map(|a| &a.severity))
            .filter(|a| !distribution || a.is_scored());
        Self {
            id: record.id.clone(),
            published: record.published,
            withdrawn: record.withdrawn,
            summary: record.summary.clone(),
            groups: Vec::new(),
            modified: record.modified,
            source: source.to_owned(),
            holders,
            aliases: record.aliases.clone(),
            upstream: record.upstream.clone(),
            ecosystems: record.ecosystems().into_iter().map(str::to_owned).collect(),
            assessment: preferred(statements).cloned(),
            tells_summary: record.upstream.is_empty() && !distribution,
        }
    }

    /// The group that it tells something of: a record about several vulnerabilities tells nothing
    /// of each.
    pub(super) fn tells(&self) -> Option<u32> {
        match self.groups.as_slice() {
            [group] if self.withdrawn.is_none() => Some(*group),
            _ => None,
        }
    }

    /// Aliases that stand: those of a withdrawn record may have been wrong.
    pub(super) fn standing_aliases(&self) -> &[String] {
        if self.withdrawn.is_some() { &[] } else { &self.aliases }
    }

    /// Vulnerabilities that it stands for in place of its own id.
    pub(super) fn standing_upstream(&self) -> &[String] {
        if self.withdrawn.is_some() { &[] } else { &self.upstream }
    }

    /// Every id that it names and that stands.
    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.id).chain(self.standing_aliases()).chain(self.standing_upstream())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.text(&self.id);
        out.time(self.published);
        out.time(self.withdrawn);
        out.text(&self.summary);
        out.number(self.groups.len() as u64);
        for group in &self.groups {
            out.number(u64::from(*group));
        }
        out.time(self.modified);
        out.text(&self.source);
        out.number(self.holders);
        for list in [&self.aliases, &self.upstream, &self.ecosystems] {
            out.number(list.len() as u64);
            for id in list {
                out.text(id);
            }
        }
        out.assessment(self.assessment.as_ref());
        out.byte(u8::from(self.tells_summary));
        out.bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Read<Self> {
        let RecordBlob { id, published, withdrawn, summary, groups, mut tail } =
            RecordBlob::read(bytes)?;
        let modified = tail.time()?;
        let source = tail.text()?.to_owned();
        let holders = tail.number()?;
        let mut lists = [const { Vec::new() }; 3];
        for list in &mut lists {
            for _ in 0..tail.count()? {
                list.push(tail.text()?.to_owned());
            }
        }
        let [aliases, upstream, ecosystems] = lists;
        Ok(Self {
            id: id.to_owned(),
            published,
            withdrawn,
            summary: summary.to_owned(),
            groups,
            modified,
            source,
            holders,
            aliases,
            upstream,
            ecosystems,
            assessment: tail.assessment()?,
            tells_summary: tail.byte()? != 0,
        })
    }

    /// Changes when what findings take from it changes.
    pub(super) fn mark(&self) -> Mark {
        record_mark(&self.id, self.published, self.withdrawn, &self.summary)
    }
}

pub(super) fn record_mark(
    id: &str,
    published: Option<Timestamp>,
    withdrawn: Option<Timestamp>,
    summary: &str,
) -> Mark {
    let head = [published, withdrawn].map(|t| t.map(|t| t.as_microsecond()));
    let head = format!("{head:?}");
    mark(&[id.as_bytes(), head.as_bytes(), summary.as_bytes()])
}

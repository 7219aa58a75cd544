//! Alias groups: which ids name one vulnerability.

use crate::codec::{Read, Reader, Writer};
use crate::index::StoredRecord;
use crate::record::Record;
use crate::segment::RecordIds;
use crate::severity::{Assessment, preferred};
use jiff::Timestamp;
use sealock_facts::Kev;
use std::collections::{BTreeMap, HashMap};

/// Collects ids and joins those that are aliases (union-find with path halving).
#[derive(Default)]
pub(crate) struct Ids {
    numbers: HashMap<String, u32>,
    parent: Vec<u32>,
    /// Ids of records that stand for others, with those.
    upstream: Vec<(u32, Vec<u32>)>,
}

impl Ids {
    fn number(&mut self, id: &str) -> u32 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = self.parent.len() as u32;
        self.parent.push(number);
        self.numbers.insert(id.to_owned(), number);
        number
    }

    fn root(&mut self, mut at: u32) -> u32 {
        while self.parent[at as usize] != at {
            let up = self.parent[self.parent[at as usize] as usize];
            self.parent[at as usize] = up;
            at = up;
        }
        at
    }

    /// Takes a record's ids in. A withdrawn record joins nothing: its aliases may have been wrong.
    pub(crate) fn join(&mut self, record: &RecordIds) {
        let own = self.number(&record.id);
        if record.withdrawn.is_some() {
            return;
        }
        for alias in &record.aliases {
            let alias = self.number(alias);
            let (a, b) = (self.root(own), self.root(alias));
            // The smaller number stays the root, so the outcome depends on the records alone.
            self.parent[a.max(b) as usize] = a.min(b);
        }
        if !record.upstream.is_empty() {
            let upstream = record.upstream.iter().map(|id| self.number(id)).collect();
            self.upstream.push((own, upstream));
        }
    }

    /// Numbers the groups.
    pub(crate) fn into_groups(mut self) -> Groups {
        let mut group_of_root: HashMap<u32, u32> = HashMap::new();
        let mut group_of = Vec::with_capacity(self.parent.len());
        for number in 0..self.parent.len() as u32 {
            let root = self.root(number);
            let next = group_of_root.len() as u32;
            group_of.push(*group_of_root.entry(root).or_insert(next));
        }
        let mut members: Vec<Vec<String>> = vec![Vec::new(); group_of_root.len()];
        let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let upstream: HashMap<u32, Vec<u32>> = self.upstream.into_iter().collect();
        for (id, number) in self.numbers {
            let own = group_of[number as usize];
            let mut groups = match upstream.get(&number) {
                Some(others) => others.iter().map(|o| group_of[*o as usize]).collect(),
                None => vec![own],
            };
            groups.sort_unstable();
            groups.dedup();
            members[own as usize].push(id.clone());
            found.insert(id, groups);
        }
        for list in &mut members {
            list.sort_unstable();
        }
        Groups { found, members }
    }
}

/// The same for a few ids whose records are at hand.
#[derive(Default)]
pub(crate) struct Joined<'a> {
    ids: Vec<&'a str>,
    numbers: HashMap<&'a str, usize>,
    parent: Vec<usize>,
}

impl<'a> Joined<'a> {
    /// An id that some record names.
    pub(crate) fn mention(&mut self, id: &'a str) -> usize {
        let next = self.ids.len();
        let number = *self.numbers.entry(id).or_insert(next);
        if number == next {
            self.ids.push(id);
            self.parent.push(next);
        }
        number
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    pub(crate) fn join(&mut self, a: &'a str, b: &'a str) {
        let (a, b) = (self.mention(a), self.mention(b));
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }

    /// The sets, each sorted, in the order of their first ids.
    pub(crate) fn sets(mut self) -> Vec<Vec<&'a str>> {
        let mut sets: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for at in 0..self.ids.len() {
            let root = self.root(at);
            sets.entry(root).or_default().push(self.ids[at]);
        }
        let mut sets: Vec<Vec<&str>> = sets.into_values().collect();
        sets.iter_mut().for_each(|set| set.sort_unstable());
        sets.sort_unstable();
        sets
    }
}

/// The finished groups.
pub(crate) struct Groups {
    found: BTreeMap<String, Vec<u32>>,
    members: Vec<Vec<String>>,
}

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Every id, sorted, with the groups that it stands for.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (&str, &[u32])> {
        self.found.iter().map(|(id, groups)| (id.as_str(), groups.as_slice()))
    }

    /// The vulnerabilities that a record is about.
    pub(crate) fn of_record(&self, record: &Record) -> Vec<u32> {
        self.found.get(&record.id).cloned().unwrap_or_default()
    }

    /// The ids of a group, sorted.
    pub(crate) fn members(&self, number: u32) -> &[String] {
        self.members.get(number as usize).map_or(&[], Vec::as_slice)
    }
}

/// One group as the matcher reads it: from its members, sorted, and what records tell of it.
pub(crate) fn encode_group(
    members: &[impl AsRef<str>],
    told: &[Vec<u8>],
    kev: &BTreeMap<String, Kev>,
) -> Vec<u8> {
    let members = || members.iter().map(AsRef::as_ref);
    let shown = preferred_id(members()).unwrap_or_default();
    let mut data: Vec<(&str, GroupData<'_>)> =
        told.iter().filter_map(|bytes| GroupData::decode(bytes).ok()).collect();
    // Whose words are shown: the CVE's own record, then GitHub's, then the others by id.
    data.sort_by_key(|(id, _)| (id_rank(id), *id));
    let told: Vec<GroupData<'_>> = data.into_iter().map(|(_, d)| d).collect();
    let mut out = Writer::default();
    out.text(shown);
    let others: Vec<&str> = members().filter(|id| *id != shown).collect();
    out.number(others.len() as u64);
    for id in others {
        out.text(id);
    }
    out.time(told.iter().filter_map(|t| t.published).min());
    let known = members().filter_map(|id| kev.get(id)).min();
    out.time(known.map(|k| k.date_added));
    out.byte(u8::from(known.is_some_and(|k| k.ransomware)));
    out.assessment(preferred(told.iter().filter_map(|t| t.assessment.as_ref())));
    out.text(told.iter().map(|t| t.summary).find(|s| !s.is_empty()).unwrap_or_default());
    out.bytes
}

/// The ids of a group in its encoded form.
pub(crate) fn encoded_members(bytes: &[u8]) -> Read<Vec<&str>> {
    let mut reader = Reader::new(bytes);
    let mut members = Vec::new();
    let shown = reader.text()?;
    if !shown.is_empty() {
        members.push(shown);
    }
    for _ in 0..reader.count()? {
        members.push(reader.text()?);
    }
    Ok(members)
}

fn id_rank(id: &str) -> u8 {
    match id {
        id if id.starts_with("CVE-") => 0,
        id if id.starts_with("GHSA-") => 1,
        _ => 2,
    }
}

/// CVE, else GHSA, else the source's id; of several the first.
pub(crate) fn preferred_id<'a>(ids: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    ids.min_by_key(|id| (id_rank(id), *id))
}

/// What one record tells of its group.
pub(crate) struct GroupData<'a> {
    pub(crate) published: Option<Timestamp>,
    pub(crate) assessment: Option<Assessment>,
    pub(crate) summary: &'a str,
}

impl<'a> GroupData<'a> {
    /// What a record tells.
    pub(crate) fn of(record: &'a StoredRecord) -> Self {
        Self {
            published: record.published,
            assessment: record.assessment.clone(),
            summary: if record.tells_summary { &record.summary } else { "" },
        }
    }

    pub(crate) fn encode(&self, id: &str) -> Vec<u8> {
        let mut out = Writer::default();
        out.text(id);
        out.time(self.published);
        out.assessment(self.assessment.as_ref());
        out.text(self.summary);
        out.bytes
    }

    fn decode(bytes: &'a [u8]) -> Read<(&'a str, Self)> {
        let mut reader = Reader::new(bytes);
        let id = reader.text()?;
        let published = reader.time()?;
        let assessment = reader.assessment()?;
        Ok((id, Self { published, assessment, summary: reader.text()? }))
    }
}

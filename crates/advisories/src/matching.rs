//! Components × index → findings.

use crate::codec::{Assessed, Corrupt, Read, Reader};
use crate::ecosystem::{is_distribution, normalise_name};
use crate::error::Result;
use crate::groups::preferred_id;
use crate::index::{Index, RecordBlob};
use crate::range::{Answer, Walk};
use crate::record::{EventKind, Status};
use crate::version::Order;
use jiff::Timestamp;
use sealock_facts::{Component, Finding, FixState, MatchKey, Severity};
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

/// Name of this scanner in findings.
pub const SCANNER: &str = "sealock";

/// What to match.
#[derive(Debug, Clone, Copy, Default)]
pub struct MatchOptions {
    /// Also match language packages that a distribution package owns, and report what the
    /// distribution has not judged yet.
    pub comprehensive: bool,
}

/// A component that an advisory names but whose version cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmatched {
    /// purl of the component.
    pub purl: String,
    /// Its version.
    pub version: String,
    /// Why: `version` when the version cannot be read, `order` when the ecosystem's order is
    /// unknown.
    pub reason: &'static str,
}

/// What matching found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matches {
    /// Sorted.
    pub findings: Vec<Finding>,
    /// Sorted.
    pub unmatched: Vec<Unmatched>,
}

impl Index {
    /// Findings of components, sorted: one per component and alias group. The same components and
    /// the same index give the same findings; `now` decides only which withdrawals stand.
    pub fn findings(&self, components: &[Component], now: Timestamp) -> Result<Vec<Finding>> {
        Ok(self.match_components(components, now, MatchOptions::default())?.findings)
    }

    /// As [`Index::findings`], with options and with what could not be matched.
    pub fn match_components(
        &self,
        components: &[Component],
        now: Timestamp,
        options: MatchOptions,
    ) -> Result<Matches> {
        let mut matches = Matches::default();
        // Packages of distributions by purl, to judge what they own.
        let owners: HashMap<&str, &MatchKey> = match options.comprehensive {
            false => HashMap::new(),
            true => components
                .iter()
                .filter_map(|c| Some((c.purl.as_str(), c.match_key.as_ref()?)))
                .filter(|(_, key)| is_distribution(&key.ecosystem))
                .collect(),
        };
        for component in components {
            let Some(key) = &component.match_key else { continue };
            if component.owner.is_some() && !options.comprehensive {
                continue;
            }
            let mut found = self.sound(self.judge(key, now, options))?;
            if let Some(owner) = component.owner.as_deref().and_then(|o| owners.get(o)) {
                let settled = self.sound(self.judge(owner, now, options))?.settled();
                found.hits.retain(|hit| !settled.contains(&hit.group));
            }
            if let Some(reason) = found.unmatched {
                let (purl, version) = (component.purl.clone(), key.version.clone());
                matches.unmatched.push(Unmatched { purl, version, reason });
            }
            self.sound(self.report(component, key, found, &mut matches.findings))?;
        }
        matches.findings.sort_unstable();
        matches.findings.dedup();
        matches.unmatched.sort_unstable();
        matches.unmatched.dedup();
        Ok(matches)
    }

    /// Ids of the records that match one version of one package, sorted: without a component.
    pub fn ask(
        &self,
        ecosystem: &str,
        name: &str,
        version: &str,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        let [ecosystem, name, version] = [ecosystem, name, version].map(str::to_owned);
        let key = MatchKey { ecosystem, name, version };
        let judged = self.sound(self.judge(&key, now, MatchOptions::default()))?;
        let ids: BTreeSet<&str> = judged.hits.iter().map(|hit| hit.record).collect();
        Ok(ids.into_iter().map(str::to_owned).collect())
    }

    /// Every record that names the package, asked about the version.
    fn judge(&self, key: &MatchKey, now: Timestamp, options: MatchOptions) -> Read<Judged<'_>> {
        let name = normalise_name(&key.ecosystem, &key.name);
        let order = Order::of_ecosystem(&key.ecosystem);
        let version = match order {
            Some(Order::Debian) => without_rebuild(key.version.trim()),
            _ => key.version.trim(),
        };
        let mut judged = Judged::default();
        let Some(package) = self.package(&key.ecosystem, &name)? else { return Ok(judged) };
        let mut entries = package.entries;
        let readable = order.is_some_and(|o| o.accepts(version));
        judged.unmatched = order.is_none().then_some("order");
        for _ in 0..package.count {
            let record = entries.number()?;
            let entry = Entry::read(entries.blob()?)?;
            let (answer, tried) = entry.answer(order, version, readable)?;
            if !tried {
                judged.unmatched = judged.unmatched.or(Some("version"));
            }
            let excused = entry.status == Status::NotAffected;
            if !answer.affected && !excused && !options.comprehensive {
                continue;
            }
            let record = self.record(record)?;
            if record.withdrawn.is_some_and(|at| at <= now) {
                continue;
            }
            for group in &record.groups {
                if excused {
                    judged.excused.insert(*group);
                } else if !answer.affected {
                    judged.fixed.insert(*group);
                } else if entry.status != Status::UnderInvestigation || options.comprehensive {
                    judged.hits.push(Hit::new(*group, &record, &entry, answer)?);
                }
            }
        }
        let excused = &judged.excused;
        judged.hits.retain(|hit| !excused.contains(&hit.group));
        judged.hits.sort_by(|a, b| (a.group, a.record).cmp(&(b.group, b.record)));
        Ok(judged)
    }

    /// Turns the hits on one component into findings.
    fn report(
        &self,
        component: &Component,
        key: &MatchKey,
        found: Judged<'_>,
        out: &mut Vec<Finding>,
    ) -> Read<()> {
        let order = Order::of_ecosystem(&key.ecosystem);
        for hits in found.hits.chunk_by(|a, b| a.group == b.group) {
            let Some(first) = hits.first() else { continue };
            let group = self.group_blob(first.group)?;
            let assessed = hits.iter().filter_map(|h| h.assessed).min().or(group.assessed);
            // Hits on one group are sorted by record.
            let mut records: Vec<&str> = hits.iter().map(|h| h.record).collect();
            records.dedup();
            let mut ids = group.aliases;
            ids.push(group.id);
            ids.extend(&records);
            ids.sort_unstable();
            ids.dedup();
            let shown = preferred_id(ids.iter().copied()).unwrap_or_default();
            let own = hits.iter().map(|h| h.summary).find(|s| !s.is_empty());
            let published = hits.iter().filter_map(|h| h.published).min();
            out.push(Finding {
                aliases: owned(ids.into_iter().filter(|id| *id != shown)),
                purl: component.purl.clone(),
                version: key.version.clone(),
                severity: assessed.map_or(Severity::Unknown, Assessed::severity),
                severity_source: assessed.map(Assessed::source),
                fix: fix_of(order, hits),
                published: group.published.or(published),
                kev: group.kev,
                summary: match group.summary {
                    "" => own.unwrap_or_default().to_owned(),
                    summary => summary.to_owned(),
                },
                records: owned(records.into_iter()),
                scanner: SCANNER.to_owned(),
                vulnerability: shown.to_owned(),
            });
        }
        Ok(())
    }
}

fn owned<'a>(list: impl Iterator<Item = &'a str>) -> Vec<String> {
    list.map(str::to_owned).collect()
}

/// `1.2-3+b4` is a rebuild of `1.2-3` without a change of source.
fn without_rebuild(version: &str) -> &str {
    match version.rsplit_once("+b") {
        Some((source, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => source,
        _ => version,
    }
}

/// The version that ends every matched interval: each record names its own branch's fix, and only
/// above the highest of them do all agree.
fn fix_of(order: Option<Order>, hits: &[Hit<'_>]) -> FixState {
    let later = |a: &&str, b: &&str| match order {
        Some(order) => order.compare(a, b).then_with(|| a.cmp(b)),
        None => Ordering::Equal,
    };
    if let Some(version) = hits.iter().filter_map(|h| h.fix).max_by(later) {
        return FixState::Fixed { version: version.to_owned() };
    }
    if hits.iter().any(|h| h.status == Status::WontFix) {
        return FixState::WontFix;
    }
    FixState::NotFixed
}

/// What the records about one package say of one version.
#[derive(Default)]
struct Judged<'a> {
    hits: Vec<Hit<'a>>,
    /// Groups of which the package is declared free for ever.
    excused: BTreeSet<u32>,
    /// Groups that are fixed in this version (filled in comprehensive mode).
    fixed: BTreeSet<u32>,
    unmatched: Option<&'static str>,
}

impl Judged<'_> {
    /// Groups that the package was once open to, or never, and is not now.
    fn settled(self) -> BTreeSet<u32> {
        let open: BTreeSet<u32> = self.hits.iter().map(|h| h.group).collect();
        self.excused.union(&self.fixed).copied().filter(|g| !open.contains(g)).collect()
    }
}

/// One record that matched, seen from one of its groups.
struct Hit<'a> {
    group: u32,
    record: &'a str,
    fix: Option<&'a str>,
    status: Status,
    assessed: Option<Assessed<'a>>,
    published: Option<Timestamp>,
    summary: &'a str,
}

impl<'a> Hit<'a> {
    fn new(
        group: u32,
        record: &RecordBlob<'a>,
        entry: &Entry<'a>,
        answer: Answer<'a>,
    ) -> Read<Self> {
        let mut assessed = entry.assessed;
        Ok(Self {
            group,
            record: record.id,
            fix: answer.fix,
            status: entry.status,
            assessed: assessed.assessed()?,
            published: record.published,
            summary: record.summary,
        })
    }
}

/// One affected entry of one record, as it lies in the index; its parts are read when asked for.
struct Entry<'a> {
    status: Status,
    assessed: Reader<'a>,
    ranges: Reader<'a>,
    /// The last of the listed versions, which are sorted, then all of them.
    versions: Reader<'a>,
}

impl<'a> Entry<'a> {
    fn read(bytes: &'a [u8]) -> Read<Self> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            status: Status::from_byte(reader.byte()?).ok_or(Corrupt)?,
            assessed: Reader::new(reader.blob()?),
            ranges: Reader::new(reader.blob()?),
            versions: reader,
        })
    }

    /// The answer, and whether it could be sought everywhere.
    fn answer(
        &self,
        order: Option<Order>,
        version: &str,
        readable: bool,
    ) -> Read<(Answer<'a>, bool)> {
        let mut answer = Answer { affected: self.status == Status::Everything, fix: None };
        let mut tried = true;
        let mut ranges = self.ranges;
        while !ranges.is_empty() {
            let (with, fits) = match ranges.byte()? {
                0 => (order, readable),
                _ => (Some(Order::Semantic), Order::Semantic.accepts(version)),
            };
            tried &= fits;
            let mut walk = Walk::new(with.ok_or(Corrupt)?, version);
            for _ in 0..ranges.count()? {
                let kind = EventKind::from_byte(ranges.byte()?).ok_or(Corrupt)?;
                let at = ranges.text()?;
                if fits {
                    walk.step(kind, at);
                }
            }
            let said = walk.answer();
            answer.affected |= said.affected;
            // Both intervals must end before the version is clean.
            answer.fix = match (answer.fix, said.fix) {
                (Some(a), Some(b)) if order.is_some_and(|o| o.compare(a, b).is_lt()) => Some(b),
                (a, b) => a.or(b),
            };
        }
        if !answer.affected && self.lists(order.filter(|_| readable), version)? {
            answer.affected = true;
            answer.fix = self.next_fix(order.filter(|_| readable), version)?;
        }
        Ok((answer, tried))
    }

    /// Whether the version is listed.
    fn lists(&self, order: Option<Order>, version: &str) -> Read<bool> {
        let mut versions = self.versions;
        if versions.is_empty() {
            return Ok(false);
        }
        let last = versions.text()?;
        if order.is_some_and(|o| o.compare(version, last).is_gt()) {
            return Ok(false);
        }
        while !versions.is_empty() {
            let listed = versions.text()?;
            let same = match order {
                Some(order) => match order.compare(version, listed) {
                    Ordering::Less => return Ok(false),
                    Ordering::Equal => order.accepts(listed),
                    Ordering::Greater => false,
                },
                None => listed == version,
            };
            if same || listed == version {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// For a version that only the list names: the smallest fix above it.
    fn next_fix(&self, order: Option<Order>, version: &str) -> Read<Option<&'a str>> {
        let (Some(order), mut ranges) = (order, self.ranges) else { return Ok(None) };
        let mut best: Option<&str> = None;
        while !ranges.is_empty() {
            ranges.byte()?;
            for _ in 0..ranges.count()? {
                let kind = EventKind::from_byte(ranges.byte()?).ok_or(Corrupt)?;
                let at = ranges.text()?;
                let later = kind == EventKind::Fixed && order.compare(at, version).is_gt();
                if later && best.is_none_or(|b| order.compare(at, b).is_lt()) {
                    best = Some(at);
                }
            }
        }
        Ok(best)
    }
}

/// Packages whose findings may differ between two indexes, sorted: those that a changed, new or
/// removed record names, or whose vulnerabilities are told of differently (aliases, KEV, severity).
pub fn changed_packages(old: &Index, new: &Index) -> Result<Vec<(String, String)>> {
    let owned = |(ecosystem, name): (&str, &str)| (ecosystem.to_owned(), name.to_owned());
    let mut changed = Vec::new();
    if old.shares_base(new) {
        let mut named: BTreeSet<(&str, &str)> =
            old.sound(old.changed_keys())?.into_iter().collect();
        named.extend(new.sound(new.changed_keys())?);
        for (ecosystem, name) in named {
            let before = old.sound(old.package(ecosystem, name))?.map(|p| p.mark);
            if before != new.sound(new.package(ecosystem, name))?.map(|p| p.mark) {
                changed.push(owned((ecosystem, name)));
            }
        }
        return Ok(changed);
    }
    let (mut olds, mut news) = (old.sound(old.packages())?, new.sound(new.packages())?);
    let (mut left, mut right) = (old.sound(olds.next())?, new.sound(news.next())?);
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok(changed),
            (Some(a), Some(b)) => (a.ecosystem, a.name).cmp(&(b.ecosystem, b.name)),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let same = matches!((&left, &right), (Some(a), Some(b)) if a.mark == b.mark);
        let named = if order.is_le() { &left } else { &right };
        if let Some(package) = named.as_ref().filter(|_| !(order.is_eq() && same)) {
            changed.push(owned((package.ecosystem, package.name)));
        }
        if order.is_le() {
            left = old.sound(olds.next())?;
        }
        if order.is_ge() {
            right = new.sound(news.next())?;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

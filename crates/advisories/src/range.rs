//! Whether a version lies in a range (OSV schema, "Evaluation"), and what fixes it.

use crate::record::{Event, EventKind};
use crate::version::Order;
use std::cmp::Ordering;

/// What a range says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) affected: bool,
    /// The smallest fixed version above it in the interval that holds it.
    pub(crate) fix: Option<&'a str>,
}

fn place(order: Order, a: (EventKind, &str), b: (EventKind, &str)) -> Ordering {
    let first = |e: (EventKind, &str)| e.0 == EventKind::Introduced && e.1 == "0";
    let last = |e: (EventKind, &str)| e.0 == EventKind::Limit && e.1 == "*";
    first(b)
        .cmp(&first(a))
        .then_with(|| last(a).cmp(&last(b)))
        .then_with(|| order.compare(a.1, b.1))
        .then_with(|| a.0.cmp(&b.0))
}

/// Puts events in the order in which they are walked: by version, at one version `introduced`
/// first. `None` when an event names something that is no version: such a range matches nothing.
pub(crate) fn arrange(order: Order, events: &[Event]) -> Option<Vec<(EventKind, &str)>> {
    let mut list = Vec::with_capacity(events.len());
    for event in events {
        let word = match event.kind {
            EventKind::Introduced => event.version == "0",
            EventKind::Limit => event.version == "*",
            _ => false,
        };
        if !word && !order.accepts(&event.version) {
            return None;
        }
        list.push((event.kind, event.version.as_str()));
    }
    list.sort_by(|a, b| place(order, *a, *b).then_with(|| a.1.cmp(b.1)));
    Some(list)
}

/// A walk along arranged events. The version must be accepted by the order.
pub(crate) struct Walk<'a, 'v> {
    order: Order,
    version: &'v str,
    on: bool,
    passed: bool,
    limited: bool,
    inside: bool,
    fix: Option<&'a str>,
}

impl<'a, 'v> Walk<'a, 'v> {
    pub(crate) const fn new(order: Order, version: &'v str) -> Self {
        Self { order, version, on: false, passed: false, limited: false, inside: false, fix: None }
    }

    pub(crate) fn step(&mut self, kind: EventKind, at: &'a str) {
        let compare = || self.order.compare(at, self.version);
        match kind {
            EventKind::Introduced if at == "0" => self.on = true,
            EventKind::Limit => {
                self.limited = true;
                self.inside |= at == "*" || compare().is_gt();
            }
            EventKind::Introduced if compare().is_le() => self.on = true,
            // The next interval begins above the version: its fix is not this one's.
            EventKind::Introduced => self.passed = true,
            EventKind::Fixed if compare().is_le() => self.on = false,
            EventKind::Fixed if self.on && !self.passed && self.fix.is_none() => {
                self.fix = Some(at);
            }
            EventKind::LastAffected if compare().is_lt() => self.on = false,
            EventKind::Fixed | EventKind::LastAffected => {}
        }
    }

    pub(crate) fn answer(self) -> Answer<'a> {
        let affected = self.on && (self.inside || !self.limited);
        Answer { affected, fix: self.fix.filter(|_| affected) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask<'a>(events: &'a [Event], version: &str) -> Option<Answer<'a>> {
        let order = Order::Semantic;
        let mut walk = Walk::new(order, version);
        for (kind, at) in arrange(order, events)? {
            walk.step(kind, at);
        }
        Some(walk.answer())
    }

    fn events(text: &str) -> Vec<Event> {
        let read = |word: &str| {
            let (kind, version) = word.split_at(1);
            let kind = match kind {
                "i" => EventKind::Introduced,
                "f" => EventKind::Fixed,
                "l" => EventKind::LastAffected,
                _ => EventKind::Limit,
            };
            Event { kind, version: version.to_owned() }
        };
        text.split_whitespace().map(read).collect()
    }

    #[test]
    fn walks() {
        for (range, version, affected, fix) in [
            ("i0 f2.0.0", "1.0.0", true, Some("2.0.0")),
            ("i0 f2.0.0", "2.0.0", false, None),
            ("i0 f2.0.0", "2.0.0-rc.1", true, Some("2.0.0")),
            ("i0 f2.0.0", "0.0.0-a", true, Some("2.0.0")),
            ("f2.0.0 i0", "1.0.0", true, Some("2.0.0")),
            ("i1.0.0 f2.0.0", "0.9.0", false, None),
            ("i1.0.0 f2.0.0", "1.0.0", true, Some("2.0.0")),
            ("i1.0.0 l1.5.0", "1.5.0", true, None),
            ("i1.0.0 l1.5.0", "1.5.1", false, None),
            ("i0 f1.2.0 i2.0.0 f2.3.0", "1.0.0", true, Some("1.2.0")),
            ("i0 f1.2.0 i2.0.0 f2.3.0", "1.3.0", false, None),
            ("i0 f1.2.0 i2.0.0 f2.3.0", "2.1.0", true, Some("2.3.0")),
            ("i0 f1.2.0 i2.0.0", "3.0.0", true, None),
            ("i0 l1.2.0 i2.0.0 f2.3.0", "1.0.0", true, None),
            ("i0", "9.9.9", true, None),
            ("i0 m2.0.0", "1.0.0", true, None),
            ("i0 m2.0.0", "2.0.0", false, None),
            ("i0 m1.0.0 m2.0.0", "1.5.0", true, None),
            ("i0 m*", "99.0.0", true, None),
            ("i1.0.0 f1.0.0", "1.0.0", false, None),
            ("f1.0.0", "0.5.0", false, None),
        ] {
            let list = events(range);
            assert_eq!(ask(&list, version), Some(Answer { affected, fix }), "{range} {version}");
        }
        assert_eq!(ask(&events("i0 fnonsense"), "1.0.0"), None);
    }
}

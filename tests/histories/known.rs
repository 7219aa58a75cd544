//! What a client may see after a power loss, by what was acknowledged and what was under way.

use std::collections::{BTreeMap, BTreeSet};

use sealock_oci::Digest;
use uuid::Uuid;

/// Something that clients change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    /// A blob in a repository.
    Blob(String, Digest),
    /// A manifest in a repository.
    Manifest(String, Digest),
    /// A tag of a repository.
    Tag(String, String),
    /// An upload to a repository.
    Upload(String, Uuid),
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Absent,
    Present,
    /// A tag names this.
    Names(Digest),
}

/// What an operation does to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Becomes(State),
    /// Absent where it was in this state; else nothing.
    Ends(State),
    /// Perhaps this, perhaps nothing: what is promised to no client.
    Perhaps(State),
}

impl Effect {
    fn on(self, state: State) -> Vec<State> {
        match self {
            Self::Becomes(next) => vec![next],
            Self::Ends(which) if state == which => vec![State::Absent],
            Self::Ends(_) => vec![state],
            Self::Perhaps(next) => vec![state, next],
        }
    }
}

/// An operation of a client, with the moments of its request and of its answer.
#[derive(Debug, Clone)]
struct Operation {
    begin: usize,
    /// None when the client heard no answer.
    end: Option<usize>,
    effects: Vec<(Thing, Effect)>,
}

/// Every operation of a history.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    operations: Vec<Operation>,
}

impl Known {
    pub(crate) fn add(&mut self, begin: usize, end: Option<usize>, effects: Vec<(Thing, Effect)>) {
        self.operations.push(Operation { begin, end, effects });
    }

    /// Everything that was ever touched.
    pub(crate) fn things(&self) -> BTreeSet<Thing> {
        let effects = self.operations.iter().flat_map(|operation| &operation.effects);
        effects.map(|(thing, _)| thing.clone()).collect()
    }

    /// In which states each thing may be when the power goes after `cut` changes.
    pub(crate) fn permitted(&self, cut: usize) -> BTreeMap<Thing, BTreeSet<State>> {
        let mut touched: BTreeMap<Thing, Vec<(usize, Option<usize>, Effect)>> = BTreeMap::new();
        for Operation { begin, end, effects } in &self.operations {
            for (thing, effect) in effects {
                // Nothing before a request is made can come of it.
                let list = touched.entry(thing.clone()).or_default();
                if *begin < cut {
                    list.push((*begin, end.filter(|end| *end <= cut), *effect));
                }
            }
        }
        touched.into_iter().map(|(thing, list)| (thing, outcomes(&list))).collect()
    }
}

/// What may happen at one place, in this order: an answer comes before a request, as the same
/// client may have waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    End,
    Begin,
    EndAtOnce,
}

/// The states that some order of the operations leads to, in which each takes effect once between
/// its request and its answer, and one without an answer perhaps never.
fn outcomes(operations: &[(usize, Option<usize>, Effect)]) -> BTreeSet<State> {
    let mut moments: Vec<(usize, Moment, usize)> = Vec::new();
    for (number, (begin, end, _)) in operations.iter().enumerate() {
        moments.push((*begin, Moment::Begin, number));
        let answer = |end| if end == *begin { Moment::EndAtOnce } else { Moment::End };
        moments.extend(end.map(|end| (end, answer(end), number)));
    }
    moments.sort_unstable();
    let mut open = BTreeSet::new();
    // The state, and which of the open operations have taken effect.
    let mut worlds = BTreeSet::from([(State::Absent, BTreeSet::new())]);
    for (_, moment, number) in moments {
        if moment == Moment::Begin {
            open.insert(number);
            worlds = any_order(worlds, &open, operations);
        } else {
            open.remove(&number);
            worlds.retain(|(_, done)| done.contains(&number));
            worlds = worlds
                .into_iter()
                .map(|(state, mut done)| {
                    done.remove(&number);
                    (state, done)
                })
                .collect();
        }
    }
    worlds.into_iter().map(|(state, _)| state).collect()
}

type Worlds = BTreeSet<(State, BTreeSet<usize>)>;

fn any_order(
    mut worlds: Worlds,
    open: &BTreeSet<usize>,
    operations: &[(usize, Option<usize>, Effect)],
) -> Worlds {
    let mut new: Vec<_> = worlds.iter().cloned().collect();
    while let Some((state, done)) = new.pop() {
        for number in open.difference(&done) {
            for state in operations[*number].2.on(state) {
                let mut done = done.clone();
                done.insert(*number);
                if worlds.insert((state, done.clone())) {
                    new.push((state, done));
                }
            }
        }
    }
    worlds
}

#[cfg(test)]
mod tests {
    use super::{Effect::*, State::*, *};

    fn after(list: &[(usize, Option<usize>, Effect)]) -> Vec<State> {
        outcomes(list).into_iter().collect()
    }

    #[test]
    fn what_is_acknowledged_has_happened_and_what_is_under_way_may_have() {
        assert_eq!(after(&[(1, Some(2), Becomes(Present))]), [Present]);
        assert_eq!(after(&[(1, None, Becomes(Present))]), [Absent, Present]);
        let push = (1, Some(2), Becomes(Present));
        assert_eq!(after(&[push, (3, Some(4), Becomes(Absent))]), [Absent]);
        assert_eq!(after(&[push, (3, None, Becomes(Absent))]), [Absent, Present]);
        // Requests that overlap may take effect in either order; one before the other may not.
        assert_eq!(
            after(&[(1, Some(4), Becomes(Present)), (3, Some(5), Becomes(Absent))]).len(),
            2
        );
        assert_eq!(
            after(&[(1, Some(3), Becomes(Present)), (3, Some(5), Becomes(Absent))]).len(),
            1
        );
        let (one, two) = (Digest::sha256(b"1"), Digest::sha256(b"2"));
        let tagged = (1, Some(2), Becomes(Names(one)));
        assert_eq!(after(&[tagged, (2, Some(3), Ends(Names(two)))]), [Names(one)]);
        assert_eq!(after(&[tagged, (2, Some(3), Ends(Names(one)))]), [Absent]);
    }
}

//! Answers that are given again while they stand.

use crate::{Basis, Database};
use jiff::Timestamp;
use moka::sync::Cache;
use std::hash::Hash;

/// Answers by question. One counts only while nothing that it was read from has changed and its
/// time has not run out; until then it is what a look into the database would give at this very
/// moment. On PostgreSQL it never remembers any (decision D4).
#[derive(Debug, Clone)]
pub struct Answers<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> {
    cache: Cache<K, Answer<V>>,
    database: Database,
}

#[derive(Debug, Clone)]
struct Answer<V> {
    value: V,
    basis: Basis,
    until: Option<Timestamp>,
}

impl<K, V> Answers<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Remembers what is read from `database`: as much as weighs at most `capacity`, in the unit of
    /// `weight`.
    pub fn new(
        database: Database,
        capacity: u64,
        weight: impl Fn(&K, &V) -> u32 + Send + Sync + 'static,
    ) -> Self {
        let cache = Cache::<K, Answer<V>>::builder()
            .max_capacity(capacity)
            .weigher(move |key: &K, answer: &Answer<V>| weight(key, &answer.value))
            .build();
        Self { cache, database }
    }

    /// The answer, if one stands.
    pub fn get(&self, question: &K) -> Option<V> {
        self.get_with_basis(question).map(|(value, _)| value)
    }

    /// The answer, if one stands, and on what. Who joins two answers asks [`Database::stands`] for
    /// the first one again when the second has come: then there was a moment at which both stood.
    pub fn get_with_basis(&self, question: &K) -> Option<(V, Basis)> {
        let answer = self.cache.get(question)?;
        let stands = self.database.stands(&answer.basis)
            && answer.until.is_none_or(|until| until > self.database.clock_now());
        stands.then_some((answer.value, answer.basis))
    }

    /// Keeps an answer that stands on `basis` ([`crate::Tx::basis`] of the transaction that read
    /// all of it) and holds before `until`.
    pub fn keep(&self, question: K, value: V, basis: Option<Basis>, until: Option<Timestamp>) {
        if let Some(basis) = basis {
            self.cache.insert(question, Answer { value, basis, until });
        }
    }
}

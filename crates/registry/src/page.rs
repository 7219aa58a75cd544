/// Most items in one page of any list.
pub const MAX_PAGE_ITEMS: u32 = 1_000;
/// Items in a page when the caller does not say.
pub const DEFAULT_PAGE_ITEMS: u32 = 100;

/// Which part of a list is asked for. Lists are read by key, never by offset: a page costs the
/// same wherever it lies, and nothing is seen twice or missed when rows come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// The key after which the page begins, as [`Page::next`] gave it; none for the first page.
    pub after: Option<String>,
    /// Most items; more than [`MAX_PAGE_ITEMS`] is cut.
    pub limit: Option<u32>,
}

impl PageRequest {
    /// The page after `after`.
    pub fn after(after: impl Into<String>) -> Self {
        Self { after: Some(after.into()), limit: None }
    }

    /// The limit that counts.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_PAGE_ITEMS).min(MAX_PAGE_ITEMS)
    }

    /// The key as a number, for lists that are ordered by id. Anything else begins at the start.
    pub(crate) fn after_id(&self) -> Option<i64> {
        self.after.as_deref().and_then(|text| text.parse().ok())
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Page<T> {
    /// The items in order.
    pub items: Vec<T>,
    /// What to ask for next; none at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a list that was read with one item more than `limit`, and remembers the last key.
    pub(crate) fn cut(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }

    /// The same page of something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_whether_there_is_more() {
        let page = Page::cut(vec![1, 2, 3], 2, ToString::to_string);
        assert_eq!((page.items, page.next), (vec![1, 2], Some("2".to_owned())));
        let last = Page::cut(vec![1, 2], 2, ToString::to_string);
        assert_eq!(last.next, None);
        assert_eq!(Page::cut(vec![1], 0, ToString::to_string).next, None);
        assert_eq!(PageRequest { limit: Some(5000), after: None }.limit(), MAX_PAGE_ITEMS);
    }
}

//! Pages: the one door to every list that can grow.
//!
//! A page is keyset-based: it starts at a row's sort key, so that rows added meanwhile neither shift nor repeat anything.

use uuid::Uuid;

use super::time::{LocalDate, Timestamp};

/// The most rows one page may hold.
pub const MAX_PAGE: u32 = 100;

/// Which end of the list a page is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The first rows after the key, in the list's order.
    Forward,
    /// The last rows before the key; still answered in the list's order.
    Backward,
}

/// What part of a list is wanted. `K` is the sort key of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page<K> {
    /// 1 to [`MAX_PAGE`] rows.
    pub limit: u32,
    /// From which end.
    pub direction: Direction,
    /// The key to go on from, exclusive; `None` starts at the end named by `direction`.
    pub from: Option<K>,
    /// Whether the number of all rows is wanted too; it costs a statement.
    pub count: bool,
}

impl<K> Page<K> {
    /// The first `limit` rows.
    pub fn first(limit: u32) -> Self {
        Self { limit: limit.clamp(1, MAX_PAGE), direction: Direction::Forward, from: None, count: false }
    }
}

/// The sort key of everything that is listed oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CreatedKey {
    /// When the row came to be.
    pub created_at: Timestamp,
    /// Breaks ties.
    pub id: Uuid,
}

/// The sort key of transactions, listed latest day first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PostedKey {
    /// The bank's day.
    pub posted_on: LocalDate,
    /// Breaks ties.
    pub id: Uuid,
}

/// One page's worth of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice<T> {
    /// In the list's order, whatever the direction.
    pub items: Vec<T>,
    /// Whether the list goes on beyond this page, in the page's direction.
    pub has_more: bool,
    /// The number of all rows, when the page asked for it.
    pub total: Option<u64>,
}

impl<T> Slice<T> {
    /// No rows, and nothing beyond them.
    pub fn empty() -> Self {
        Self { items: Vec::new(), has_more: false, total: None }
    }

    /// What `page` shows of a list without rows.
    pub fn none<K>(page: &Page<K>) -> Self {
        Self { total: page.count.then_some(0), ..Self::empty() }
    }

    /// The same page with each row turned into something else.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Slice<U> {
        Slice { items: self.items.into_iter().map(turn).collect(), has_more: self.has_more, total: self.total }
    }

    /// From up to `limit + 1` rows as they were read in the page's direction: the extra one only tells that there are more.
    pub fn from_read<K>(mut rows: Vec<T>, page: &Page<K>, total: Option<u64>) -> Self {
        let has_more = rows.len() > page.limit as usize;
        rows.truncate(page.limit as usize);
        if page.direction == Direction::Backward {
            rows.reverse();
        }
        Self { items: rows, has_more, total }
    }
}

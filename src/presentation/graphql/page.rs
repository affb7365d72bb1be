//! Pages as Relay has them (GraphQL Cursor Connections): the arguments, the cursors, and the types around a list.

use async_graphql::{Context, SimpleObject};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{Datelike, NaiveDate};
use uuid::Uuid;

use crate::domain::{
    page::{CreatedKey, Direction, MAX_PAGE, Page, PostedKey},
    time::{LocalDate, Timestamp},
};

use super::{
    error::{Code, Fault},
    guard::Public,
};

/// A sort key that can travel as an opaque cursor.
pub trait Cursor: Sized {
    /// The cursor of this key.
    fn encode(&self) -> String;
    /// The key of a cursor; `None` for what is no cursor of this list.
    fn decode(cursor: &str) -> Option<Self>;
}

impl Cursor for CreatedKey {
    fn encode(&self) -> String {
        pack(b'c', self.created_at.micros(), self.id)
    }

    fn decode(cursor: &str) -> Option<Self> {
        let (micros, id) = unpack(b'c', cursor)?;
        Some(Self { created_at: Timestamp::from_micros(micros)?, id })
    }
}

impl Cursor for PostedKey {
    fn encode(&self) -> String {
        pack(b'p', i64::from(self.posted_on.naive().num_days_from_ce()), self.id)
    }

    fn decode(cursor: &str) -> Option<Self> {
        let (days, id) = unpack(b'p', cursor)?;
        let day = NaiveDate::from_num_days_from_ce_opt(i32::try_from(days).ok()?)?;
        Some(Self { posted_on: LocalDate::from_naive(day)?, id })
    }
}

fn pack(kind: u8, number: i64, id: Uuid) -> String {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn unpack(kind: u8, cursor: &str) -> Option<(i64, Uuid)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (number, id) = bytes.strip_prefix(&[kind])?.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*number), Uuid::from_slice(id).ok()?))
}

/// The same with two numbers.
pub(super) fn pack_two(kind: u8, (one, other): (i64, i64), id: Uuid) -> String {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&one.to_be_bytes());
    bytes.extend_from_slice(&other.to_be_bytes());
    bytes.extend_from_slice(id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`pack_two`] wrote.
pub(super) fn unpack_two(kind: u8, cursor: &str) -> Option<((i64, i64), Uuid)> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (one, rest) = bytes.strip_prefix(&[kind])?.split_first_chunk::<8>()?;
    let (other, id) = rest.split_first_chunk::<8>()?;
    Some(((i64::from_be_bytes(*one), i64::from_be_bytes(*other)), Uuid::from_slice(id).ok()?))
}

/// The four arguments of every connection.
#[derive(Debug, Clone, Default)]
pub struct PageArguments {
    /// How many from the front.
    pub first: Option<i32>,
    /// After which cursor.
    pub after: Option<String>,
    /// How many from the back.
    pub last: Option<i32>,
    /// Before which cursor.
    pub before: Option<String>,
}

impl PageArguments {
    /// Exactly one of `first` and `last`, 1 to 100, with a cursor that fits it.
    pub fn read<K: Cursor>(self, ctx: &Context<'_>) -> Result<Page<K>, Fault> {
        let wrong = |message: &str| Fault::new(Code::BadUserInput, message);
        let (direction, limit, cursor) = match self {
            Self { first: Some(first), last: None, after, before: None } => (Direction::Forward, first, after),
            Self { last: Some(last), first: None, before, after: None } => (Direction::Backward, last, before),
            Self { first: None, last: None, .. } => return Err(wrong("give either first or last, from 1 to 100")),
            Self { first: Some(_), last: Some(_), .. } => return Err(wrong("give either first or last, not both")),
            _ => return Err(wrong("after goes with first, before goes with last")),
        };
        let limit = u32::try_from(limit).ok().filter(|limit| (1..=MAX_PAGE).contains(limit)).ok_or_else(|| wrong("first and last are from 1 to 100"))?;
        let from = cursor.map(|cursor| K::decode(&cursor).ok_or_else(|| wrong("the cursor is not one of this list"))).transpose()?;
        Ok(Page { limit, direction, from, count: ctx.look_ahead().field("totalCount").exists() })
    }
}

/// Where a page stands in its list.
#[derive(SimpleObject, Debug, Clone)]
#[graphql(serial, guard = Public("holds nothing but cursors of a page that was guarded itself"))]
pub struct PageInfo {
    /// Whether the list goes on after this page. Exact when paging forward; when paging backward, whether a cursor was given.
    pub has_next_page: bool,
    /// Whether the list goes on before this page. Exact when paging backward; when paging forward, whether a cursor was given.
    pub has_previous_page: bool,
    /// The cursor of the first row; null for an empty page.
    pub start_cursor: Option<String>,
    /// The cursor of the last row; null for an empty page.
    pub end_cursor: Option<String>,
}

impl PageInfo {
    /// Of a page that was asked for as `page` and answered with rows of these cursors.
    pub fn of<K>(page: &Page<K>, has_more: bool, cursors: impl DoubleEndedIterator<Item = String>) -> Self {
        let mut cursors = cursors;
        let start_cursor = cursors.next();
        let end_cursor = cursors.next_back().or_else(|| start_cursor.clone());
        let beyond = page.from.is_some();
        let (has_next_page, has_previous_page) = match page.direction {
            Direction::Forward => (has_more, beyond),
            Direction::Backward => (beyond, has_more),
        };
        Self { has_next_page, has_previous_page, start_cursor, end_cursor }
    }
}

/// Declares the connection and edge types of one list. Rows are cloned into edges and nodes, so they are cheap to clone.
macro_rules! connection {
    ($(#[$connection_doc:meta])* $connection:ident, $(#[$edge_doc:meta])* $edge:ident, $node:ty, $key:ty, $resource:ident) => {
        /// One page, with the question it answers.
        #[derive(Clone)]
        pub struct $connection {
            pub(crate) slice: $crate::domain::page::Slice<$node>,
            pub(crate) page: $crate::domain::page::Page<$key>,
        }

        $(#[$connection_doc])*
        #[async_graphql::Object(serial, guard = $crate::presentation::graphql::guard::Allow::read($crate::application::access::Resource::$resource))]
        impl $connection {
            /// The rows with their cursors.
            async fn edges(&self) -> Vec<$edge> {
                self.slice.items.iter().map(|node| $edge { cursor: $crate::presentation::graphql::page::Cursor::encode(&node.key()), node: node.clone() }).collect()
            }

            /// The rows alone.
            async fn nodes(&self) -> &[$node] {
                &self.slice.items
            }

            /// Where this page stands in the list.
            async fn page_info(&self) -> $crate::presentation::graphql::page::PageInfo {
                let cursors = self.slice.items.iter().map(|node| $crate::presentation::graphql::page::Cursor::encode(&node.key()));
                $crate::presentation::graphql::page::PageInfo::of(&self.page, self.slice.has_more, cursors)
            }

            /// How many rows the list has in all, with its filter. Counted only when asked for.
            async fn total_count(&self) -> Option<u64> {
                self.slice.total
            }
        }

        $(#[$edge_doc])*
        #[derive(async_graphql::SimpleObject, Clone)]
        #[graphql(serial, guard = $crate::presentation::graphql::guard::Allow::read($crate::application::access::Resource::$resource))]
        pub struct $edge {
            /// Where the row stands in the list; opaque, to be handed back as `after` or `before`.
            pub cursor: String,
            /// The row.
            pub node: $node,
        }
    };
}
pub(crate) use connection;

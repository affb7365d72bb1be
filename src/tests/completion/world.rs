//! A small graph in which any field and any list item can fail or be null, as a script or a die has it.

#![expect(clippy::unused_async, reason = "the library wants resolvers to be async")]

use std::collections::HashSet;

use async_graphql::{Context, EmptySubscription, Error, ID, Interface, Object, Result, Schema, Union};

/// What happens at a place in the answer, such as `things.0.name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fails,
    Null,
    Holds,
}

/// Who decides: the table of cases, or a hash of seed and place.
#[derive(Debug, Clone)]
pub(super) enum World {
    Script { fails: HashSet<String>, nulls: HashSet<String>, others: HashSet<String> },
    Die { seed: u32 },
}

impl World {
    pub(super) fn fate(&self, place: &str) -> Fate {
        match self {
            Self::Script { fails, .. } if fails.contains(place) => Fate::Fails,
            Self::Script { nulls, .. } if nulls.contains(place) => Fate::Null,
            Self::Script { .. } => Fate::Holds,
            Self::Die { seed } => match hash(*seed, place) % (8 << (seed % 4)) {
                0 => Fate::Fails,
                1 => Fate::Null,
                _ => Fate::Holds,
            },
        }
    }

    /// Whether the `Node` or `Either` at this place is an `Other`.
    pub(super) fn is_other(&self, place: &str) -> bool {
        match self {
            Self::Script { others, .. } => others.contains(place),
            Self::Die { seed } => hash(seed.wrapping_add(1), place).is_multiple_of(2),
        }
    }
}

/// FNV-1a, and a last stir since its low bits are weak.
fn hash(seed: u32, place: &str) -> u32 {
    let sum = place.bytes().fold(0x811c_9dc5 ^ seed, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let sum = (sum ^ (sum >> 15)).wrapping_mul(0x2c1b_3c6d);
    sum ^ (sum >> 13)
}

pub(super) type Graph = Schema<Query, Mutation, EmptySubscription>;

pub(super) fn graph() -> Graph {
    Schema::build(Query, Mutation, EmptySubscription).finish()
}

fn place(ctx: &Context<'_>) -> String {
    ctx.path_node.as_ref().map(|node| node.to_string_vec().join(".")).unwrap_or_default()
}

fn fate(ctx: &Context<'_>, place: &str) -> Result<Option<()>> {
    match ctx.data_unchecked::<World>().fate(place) {
        Fate::Fails => Err(Error::new("failed")),
        Fate::Null => Ok(None),
        Fate::Holds => Ok(Some(())),
    }
}

fn maybe<T>(ctx: &Context<'_>, value: T) -> Result<Option<T>> {
    Ok(fate(ctx, &place(ctx))?.map(|()| value))
}

fn must<T>(ctx: &Context<'_>, value: T) -> Result<T> {
    fate(ctx, &place(ctx)).map(|_| value)
}

fn items(ctx: &Context<'_>) -> Vec<Result<Thing>> {
    (0..2).map(|at| fate(ctx, &format!("{}.{at}", place(ctx))).map(|_| Thing)).collect()
}

fn holes<T>(ctx: &Context<'_>, make: impl Fn(&str) -> T) -> Vec<Option<Result<T>>> {
    let item = |at| {
        let place = format!("{}.{at}", place(ctx));
        match fate(ctx, &place) {
            Ok(Some(())) => Some(Ok(make(&place))),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    };
    (0..2).map(item).collect()
}

fn node_at(ctx: &Context<'_>, place: &str) -> Node {
    if ctx.data_unchecked::<World>().is_other(place) { Node::Other(Other) } else { Node::Thing(Thing) }
}

#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID"))]
pub(super) enum Node {
    Thing(Thing),
    Other(Other),
}

#[derive(Union)]
pub(super) enum Either {
    Thing(Thing),
    Other(Other),
}

pub(super) struct Query;
pub(super) struct Mutation;
pub(super) struct Thing;
pub(super) struct Other;

#[Object]
impl Query {
    async fn thing(&self, ctx: &Context<'_>) -> Result<Option<Thing>> {
        maybe(ctx, Thing)
    }

    async fn must_thing(&self, ctx: &Context<'_>) -> Result<Thing> {
        must(ctx, Thing)
    }

    async fn things(&self, ctx: &Context<'_>) -> Result<Option<Vec<Result<Thing>>>> {
        maybe(ctx, items(ctx))
    }

    async fn must_things(&self, ctx: &Context<'_>) -> Result<Vec<Result<Thing>>> {
        must(ctx, items(ctx))
    }

    async fn node(&self, ctx: &Context<'_>) -> Result<Option<Node>> {
        maybe(ctx, node_at(ctx, &place(ctx)))
    }

    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<Option<Result<Node>>>> {
        must(ctx, holes(ctx, |place| node_at(ctx, place)))
    }

    async fn either(&self, ctx: &Context<'_>) -> Result<Option<Either>> {
        maybe(ctx, if ctx.data_unchecked::<World>().is_other(&place(ctx)) { Either::Other(Other) } else { Either::Thing(Thing) })
    }

    async fn word(&self, ctx: &Context<'_>) -> Result<Option<&str>> {
        maybe(ctx, "word")
    }

    async fn must_word(&self, ctx: &Context<'_>) -> Result<&str> {
        must(ctx, "word")
    }
}

#[Object]
impl Mutation {
    async fn act(&self, ctx: &Context<'_>) -> Result<Option<Thing>> {
        maybe(ctx, Thing)
    }

    async fn must_act(&self, ctx: &Context<'_>) -> Result<Thing> {
        must(ctx, Thing)
    }
}

#[Object]
impl Thing {
    async fn id(&self, ctx: &Context<'_>) -> Result<ID> {
        must(ctx, ID::from("thing"))
    }

    async fn name(&self, ctx: &Context<'_>) -> Result<Option<&str>> {
        maybe(ctx, "name")
    }

    async fn must_name(&self, ctx: &Context<'_>) -> Result<&str> {
        must(ctx, "name")
    }

    async fn words(&self, ctx: &Context<'_>) -> Result<Option<Vec<Option<&str>>>> {
        maybe(ctx, vec![Some("one"), None])
    }

    async fn child(&self, ctx: &Context<'_>) -> Result<Option<Thing>> {
        maybe(ctx, Thing)
    }

    async fn must_child(&self, ctx: &Context<'_>) -> Result<Thing> {
        must(ctx, Thing)
    }

    async fn children(&self, ctx: &Context<'_>) -> Result<Vec<Result<Thing>>> {
        must(ctx, items(ctx))
    }

    async fn holes(&self, ctx: &Context<'_>) -> Result<Option<Vec<Option<Result<Thing>>>>> {
        maybe(ctx, holes(ctx, |_| Thing))
    }

    async fn matrix(&self, ctx: &Context<'_>) -> Result<Option<Vec<Vec<Thing>>>> {
        maybe(ctx, vec![vec![Thing, Thing], vec![Thing]])
    }

    async fn friend(&self, ctx: &Context<'_>) -> Result<Option<Node>> {
        maybe(ctx, node_at(ctx, &place(ctx)))
    }
}

#[Object]
impl Other {
    async fn id(&self, ctx: &Context<'_>) -> Result<ID> {
        must(ctx, ID::from("other"))
    }

    async fn size(&self, ctx: &Context<'_>) -> Result<Option<i32>> {
        maybe(ctx, 7)
    }

    async fn must_size(&self, ctx: &Context<'_>) -> Result<i32> {
        must(ctx, 7)
    }

    async fn thing(&self, ctx: &Context<'_>) -> Result<Option<Thing>> {
        maybe(ctx, Thing)
    }
}

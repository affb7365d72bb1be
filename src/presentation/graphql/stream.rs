//! Streams: a document that is answered again whenever there is something new.
//!
//! A subscription is a series of looks. Each runs the whole document, with a requester who was let in just now and loaders that know
//! nothing yet, and answers what is new since the one before; a thread is all they share. Who wakes a stream knows nothing of what it
//! tells ([`Live`](crate::application::live::Live)): what is new is read from the store, with its owner in the question.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_graphql::{
    Response, ServerError, Value,
    parser::types::{ExecutableDocument, OperationType, Selection},
};
use futures_util::{FutureExt as _, StreamExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    application::{
        access::{Actor, Origin, Requester},
        live::Following,
        session::AuthenticationProblem,
    },
    domain::{change::ChangeCursor, id::SessionId, sync::Sync},
    presentation::http::trace::{self, Trace},
};

use super::{
    Answer, Graph, Question, Ready, RequestContext,
    completion::operation_of,
    error::{self, Code, Fault},
    rate_limit::Price,
};

/// How often it is asked whether a stream's token still counts: often enough that it ends within a second of its session.
pub const CHECK_EVERY: Duration = Duration::from_millis(250);

/// How long a reader may take to make room for the next answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long a stream goes on when it cannot be asked whether its token still counts.
const UNSURE: Duration = Duration::from_secs(2);

/// By what somebody is let in, again and again.
#[derive(Clone)]
pub struct Pass {
    /// The access token; none for nobody.
    pub token: Option<SecretString>,
    /// From where.
    pub origin: Origin,
}

/// What a stream tells, one after the other.
pub enum Told {
    /// Its document is in order, and it has told what there was to tell at once; from here on it waits.
    Begun,
    /// An answer.
    Next(Box<Response>),
    /// It did not begin, or cannot go on; the last that is told.
    Refused(Vec<ServerError>),
    /// Its token does not count any more; the last that is told.
    Over(AuthenticationProblem),
    /// It is over; the last that is told.
    Completed,
}

/// Answers to one operation. It ends when it is dropped.
pub struct Answers {
    told: mpsc::Receiver<Told>,
    /// What it is traced by, for whoever has to tell it in words of their own.
    pub trace: Trace,
    _task: AbortOnDropHandle<()>,
}

impl Answers {
    /// The next, or the last, of what is told; `None` after the last.
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }
}

/// What the looks of one subscription know of one another.
#[derive(Default)]
pub(super) struct Thread {
    known: Mutex<Known>,
    has_more: AtomicBool,
}

/// What a subscription has told so far.
#[derive(Debug, Clone, Default)]
pub(super) enum Known {
    /// It has not looked yet.
    #[default]
    Nothing,
    /// Changes up to here.
    Changes(ChangeCursor),
    /// Changes of links up to here.
    Links(i64),
    /// This state of the youngest sync; none if there is none.
    Sync(Option<Sync>),
    /// That these sessions were ended.
    Sessions(HashSet<SessionId>),
}

impl Thread {
    pub(super) fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what is told now, and whether there is more already.
    pub(super) fn remember(&self, known: Known, has_more: bool) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        self.has_more.store(has_more, Ordering::Relaxed);
    }
}

/// The thread of the subscription a look is of.
pub(super) fn thread<'a>(ctx: &'a async_graphql::Context<'_>) -> Result<&'a Thread, Fault> {
    let thread = ctx.data::<Arc<Thread>>().map_err(|_| Fault::internal(&anyhow::anyhow!("a subscription ran without its thread")))?;
    Ok(thread)
}

impl Graph {
    /// Whom a pass lets in now.
    pub async fn let_in(&self, pass: &Pass) -> Result<Requester, AuthenticationProblem> {
        let actor = match &pass.token {
            None => Actor::Nobody,
            Some(token) => self.application.gate.admit(token.expose_secret()).await?,
        };
        Ok(Requester { actor, origin: Origin { trace_id: Some(trace::current()), ..pass.origin.clone() } })
    }

    /// Begins what a document asks for: a subscription, or anything else, which is answered once. Streams end with `closing`.
    pub fn begin(self: &Arc<Self>, question: Question, pass: Pass, closing: CancellationToken) -> Answers {
        // One at a time: a reader who does not read holds back what is told, and nothing is heaped up for them.
        let (teller, told) = mpsc::channel(1);
        let graph = self.clone();
        let task = async move {
            let ran = AssertUnwindSafe(graph.tell(question, pass, &teller, closing)).catch_unwind().await;
            let last = ran.unwrap_or_else(|_| {
                tracing::error!("a stream panicked");
                Told::Refused(vec![error::refusal(Code::Internal, error::INTERNAL_MESSAGE)])
            });
            // Whoever does not listen any more does not have to hear the last.
            let _unheard = tokio::time::timeout(PATIENCE, teller.send(last)).await;
        };
        let trace = Trace::begin();
        let task = AbortOnDropHandle::new(tokio::spawn(trace.follow(task)));
        Answers { told, trace, _task: task }
    }

    /// Answers what is told last.
    async fn tell(self: &Arc<Self>, question: Question, pass: Pass, teller: &mpsc::Sender<Told>, closing: CancellationToken) -> Told {
        let requester = match self.let_in(&pass).await {
            Ok(requester) => requester,
            Err(problem) => return Told::Over(problem),
        };
        let answer = match self.ready(question, &requester).await {
            Ok(ready) if ready.operation == Some(OperationType::Subscription) => return self.subscribe(&ready, requester, &pass, teller, &closing).await,
            Ok(ready) => self.run(ready, requester).await,
            Err(refused) => *refused,
        };
        match answer {
            Answer::Ran(response) => say(teller, Told::Next(Box::new(response))).await.err().unwrap_or(Told::Completed),
            Answer::Refused(errors) => Told::Refused(errors),
            Answer::NotReadOnly => Told::Refused(vec![error::refusal(Code::BadUserInput, "only queries are read here")]),
        }
    }

    /// Answers what is told last.
    async fn subscribe(self: &Arc<Self>, ready: &Ready, requester: Requester, pass: &Pass, teller: &mpsc::Sender<Told>, closing: &CancellationToken) -> Told {
        if let Err(wrong) = single_root(&ready.found.document.prepared, ready.operation_name.as_deref()) {
            return Told::Refused(vec![error::refusal(Code::GraphqlValidationFailed, wrong)]);
        }
        // Once, for as long as it lasts: how many may be begun is limited, and how many there may be.
        let price = match self.charge(ready, &requester).await {
            Ok(admitted) => admitted.price,
            Err(refused) => return Told::Refused(vec![refused]),
        };
        self.follow(ready, (requester, price), pass, teller, closing).await.err().unwrap_or(Told::Completed)
    }

    /// Looks whenever something may be new. `Err` is what is told last.
    async fn follow(
        self: &Arc<Self>,
        ready: &Ready,
        (requester, price): (Requester, Price),
        pass: &Pass,
        teller: &mpsc::Sender<Told>,
        closing: &CancellationToken,
    ) -> Result<(), Told> {
        // Before the first look, so that nothing falls between the two.
        let following = requester.user().map(|user| self.application.live.follow(user)).transpose();
        let mut following = following.map_err(|too_many| Told::Refused(vec![error::refusal(Code::RateLimited, &too_many.to_string())]))?;
        let thread = Arc::new(Thread::default());
        let (mut requester, mut has_begun) = (requester, false);
        loop {
            thread.has_more.store(false, Ordering::Relaxed);
            self.look(ready, self.context(requester, price), &thread, teller).await?;
            // Only what is somebody's goes on.
            let Some(following) = &mut following else { return Ok(()) };
            if !std::mem::replace(&mut has_begun, true) {
                say(teller, Told::Begun).await?;
            }
            if !thread.has_more.load(Ordering::Relaxed) {
                tokio::select! {
                    woken = self.wait(following, pass) => woken?,
                    () = closing.cancelled() => return Ok(()),
                    () = teller.closed() => return Ok(()),
                }
            }
            requester = self.let_in(pass).await.map_err(Told::Over)?;
        }
    }

    /// Waits until something may be new; ends when the token does not count any more.
    async fn wait(&self, following: &mut Following, pass: &Pass) -> Result<(), Told> {
        let mut sure = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = following.woken() => return Ok(()),
                () = tokio::time::sleep(CHECK_EVERY) => {}
            }
            match self.let_in(pass).await {
                Ok(_) => sure = tokio::time::Instant::now(),
                Err(AuthenticationProblem::Unexpected(_)) if sure.elapsed() < UNSURE => {}
                Err(problem) => return Err(Told::Over(problem)),
            }
        }
    }

    /// Runs the document once and tells what comes.
    async fn look(&self, ready: &Ready, context: RequestContext, thread: &Arc<Thread>, teller: &mpsc::Sender<Told>) -> Result<(), Told> {
        let mut responses = self.schema.execute_stream(ready.request().data(context).data(thread.clone()));
        while let Some(response) = responses.next().await {
            // A field that was not resolved has no data, and its errors name nothing below it.
            if response.data == Value::Null && response.errors.iter().all(|error| error.path.len() <= 1) && !response.errors.is_empty() {
                let is_whole = response.errors.iter().all(|error| error.path.is_empty());
                let errors = response.errors.into_iter().take(self.documents.limits().errors);
                return Err(Told::Refused(errors.map(if is_whole { error::never_ran } else { error::finish }).collect()));
            }
            say(teller, Told::Next(Box::new(self.finished(ready, response)))).await?;
        }
        Ok(())
    }
}

/// Hands something over to a reader who takes it in time.
async fn say(teller: &mpsc::Sender<Told>, told: Told) -> Result<(), Told> {
    match tokio::time::timeout(PATIENCE, teller.send(told)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Told::Completed),
        Err(_) => Err(Told::Refused(vec![error::refusal(Code::Unavailable, "you read too slowly; go on from your last cursor")])),
    }
}

/// A subscription is of one field, which is always there (GraphQL specification, 5.2.4.1).
fn single_root(document: &ExecutableDocument, name: Option<&str>) -> Result<(), &'static str> {
    let Some(operation) = operation_of(document, name) else { return Ok(()) };
    let [selection] = operation.selection_set.node.items.as_slice() else { return Err("a subscription selects one field at its root") };
    match &selection.node {
        Selection::Field(field) if field.node.name.node.starts_with("__") => Err("a subscription selects one field at its root, and not one of introspection"),
        Selection::Field(field) if field.node.directives.is_empty() => Ok(()),
        _ => Err("the one field of a subscription has neither @skip nor @include"),
    }
}

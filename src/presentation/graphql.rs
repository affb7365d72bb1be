//! The graph: one schema, and how one document is answered by it.
//!
//! Resolvers parse, build a command with the requester, call, map and return. What a role may do is asked by guards and again by the
//! use cases; whose a row is, is in every query below.

pub mod account;
pub mod agreement;
pub mod audit;
pub mod balance;
pub mod change;
pub mod completion;
pub mod consent;
pub mod cost;
pub mod coverage;
pub mod csv;
pub mod documents;
pub mod email_change;
pub mod erasure;
pub mod error;
pub mod export;
pub mod global_id;
pub mod guard;
pub mod holding;
pub mod import;
pub mod limits;
pub mod link;
pub mod loader;
pub mod node;
pub mod page;
pub mod password;
pub mod profile;
pub mod provider;
pub mod rate_limit;
pub mod registration;
pub mod scalar;
pub mod second_factor;
pub mod security;
pub mod session;
pub mod step_up;
pub mod stream;
pub mod survey;
pub mod sync;
pub mod transaction;
pub mod usage;
pub mod user;

use std::sync::{Arc, LazyLock};

use async_graphql::{
    MergedObject, MergedSubscription, Request, Response, Schema, ServerError, Value, Variables,
    parser::types::{ExecutableDocument, OperationType, VariableDefinition},
};

use crate::application::{Application, access::Requester};

use self::{
    completion::{TypeIndex, complete, operation_of, supply_defaults},
    cost::Lists,
    documents::{Documents, Found, PersistedQuery},
    error::{Code, Fault},
    loader::Loaders,
    rate_limit::{Admitted, Price},
};

/// The root of queries.
#[derive(MergedObject, Default)]
pub struct Query(
    user::UserQuery,
    node::NodeQuery,
    agreement::AgreementQuery,
    provider::ProviderQuery,
    account::AccountQuery,
    transaction::TransactionQuery,
    security::SecurityQuery,
    rate_limit::RateLimitQuery,
    audit::AuditQuery,
);

/// The root of mutations.
#[derive(MergedObject, Default)]
pub struct Mutation(
    registration::RegistrationMutation,
    password::PasswordMutation,
    session::SessionMutation,
    step_up::StepUpMutation,
    profile::ProfileMutation,
    agreement::AgreementMutation,
    email_change::EmailChangeMutation,
    erasure::ErasureMutation,
    export::ExportMutation,
    second_factor::SecondFactorMutation,
    security::SecurityMutation,
    user::administration::AdministrationMutation,
    link::LinkMutation,
    link::hand::LinkByHandMutation,
    link::upkeep::LinkUpkeepMutation,
    account::upkeep::AccountMutation,
    sync::SyncMutation,
    import::batch::ImportMutation,
);

/// The root of subscriptions. Each is answered whenever there is something new, over `GET /graphql/ws` or `POST /graphql/stream`.
#[derive(MergedSubscription, Default)]
pub struct Subscription(change::ChangeSubscription, link::LinkSubscription, sync::SyncSubscription, session::SessionSubscription);

type DashtamSchema = Schema<Query, Mutation, Subscription>;

fn schema() -> DashtamSchema {
    Schema::build(Query::default(), Mutation::default(), Subscription::default()).disable_suggestions().finish()
}

/// The schema in the schema definition language, as `schema.graphql` holds it. It says of scalars what introspection says: which
/// specification they follow.
pub fn sdl() -> &'static str {
    static SDL: LazyLock<String> = LazyLock::new(|| schema().sdl_with_options(async_graphql::SDLExportOptions::new().include_specified_by()));
    &SDL
}

/// What every resolver finds in its context.
pub struct RequestContext {
    /// Who asks.
    pub requester: Requester,
    /// The use cases.
    pub application: Arc<Application>,
    /// What this request has loaded.
    pub loaders: Loaders,
    /// What the document was charged.
    pub price: Price,
}

/// One document to be answered.
#[derive(Debug, Default)]
pub struct Question {
    /// The document's text, unless it is asked by its id or its hash.
    pub document: Option<String>,
    /// The document's id.
    pub document_id: Option<String>,
    /// The hash of its text: alone it asks for a document that was sent before, with the text it makes it one.
    pub persisted: Option<PersistedQuery>,
    /// Which of its operations.
    pub operation_name: Option<String>,
    /// Values of its variables.
    pub variables: Variables,
    /// Whether only reading is allowed, as over GET.
    pub read_only: bool,
}

/// What became of a document.
pub enum Answer {
    /// It ran; errors, if any, are of its fields.
    Ran(Response),
    /// It never ran: it does not parse, does not validate, or names no operation.
    Refused(Vec<ServerError>),
    /// It is a mutation, and only reading was allowed.
    NotReadOnly,
}

/// A document that may run.
struct Ready {
    found: Found,
    operation_name: Option<String>,
    /// What it does; none when it names no operation.
    operation: Option<OperationType>,
    variables: Variables,
}

impl Ready {
    /// For the executor; nothing of it is parsed again.
    fn request(&self) -> Request {
        let mut request = Request::new(String::new()).variables(self.variables.clone());
        request.operation_name.clone_from(&self.operation_name);
        request.set_parsed_query(self.found.document.prepared.clone());
        request
    }
}

/// Answers documents.
pub struct Graph {
    schema: DashtamSchema,
    types: TypeIndex,
    lists: Lists,
    documents: Documents,
    application: Arc<Application>,
}

impl Graph {
    /// Over the use cases of one server.
    pub fn new(application: Arc<Application>, documents: Documents) -> anyhow::Result<Self> {
        Ok(Self { schema: schema(), types: TypeIndex::parse(sdl())?, lists: Lists::parse(sdl())?, documents, application })
    }

    /// Runs one document.
    pub async fn answer(self: &Arc<Self>, question: Question, requester: Requester) -> Answer {
        match self.ready(question, &requester).await {
            Ok(ready) => self.run(ready, requester).await,
            Err(refused) => *refused,
        }
    }

    /// The document a question means, when it may run.
    async fn ready(&self, question: Question, requester: &Requester) -> Result<Ready, Box<Answer>> {
        let found = match self.documents.find(&question, &self.types) {
            Ok(found) => found,
            Err(refused) => return Err(Box::new(self.refuse(refused, requester).await)),
        };
        let document = &found.document.asked;
        let mut variables = question.variables;
        supply_defaults(document, question.operation_name.as_deref(), &mut variables);
        if let Err(refused) = limits::check(document, Some(&variables), self.documents.limits()) {
            return Err(Box::new(self.refuse(refused, requester).await));
        }
        let operation = operation_of(document, question.operation_name.as_deref()).map(|operation| operation.ty);
        // A subscription is answered elsewhere, by whatever method it comes.
        if question.read_only && operation == Some(OperationType::Mutation) {
            return Err(Box::new(Answer::NotReadOnly));
        }
        if let Some(name) = missing_variable(document, question.operation_name.as_deref(), &variables) {
            let refused = error::refusal(Code::BadUserInput, &format!("the variable ${name} must have a value"));
            return Err(Box::new(Answer::Refused(vec![refused])));
        }
        Ok(Ready { found, operation_name: question.operation_name, operation, variables })
    }

    /// Runs what is answered once.
    async fn run(self: &Arc<Self>, ready: Ready, requester: Requester) -> Answer {
        if ready.operation == Some(OperationType::Subscription) {
            let elsewhere = "subscriptions are answered at GET /graphql/ws and at POST /graphql/stream";
            return Answer::Refused(vec![error::refusal(Code::BadUserInput, elsewhere)]);
        }
        let admitted = match self.charge(&ready, &requester).await {
            Ok(admitted) => admitted,
            Err(refused) => return Answer::Refused(vec![refused]),
        };
        let request = ready.request().data(self.context(requester, admitted.price));
        let response = match self.execute(request, ready.operation == Some(OperationType::Mutation)).await {
            Ok(response) => response,
            Err(stopped) => {
                tracing::error!(panicked = stopped.is_panic(), "a mutation's task stopped");
                return Answer::Ran(Response::from_errors(vec![error::refusal(Code::Internal, error::INTERNAL_MESSAGE)]));
            }
        };
        // Errors of fields know where they happened; those of the document as a whole do not.
        if !response.errors.is_empty() && response.errors.iter().all(|error| error.path.is_empty()) {
            self.settle_unused(admitted);
            return Answer::Refused(response.errors.into_iter().take(self.documents.limits().errors).map(error::never_ran).collect());
        }
        let response = self.finished(&ready, response);
        Answer::Ran(self.settle(admitted, &ready.found.document.asked, ready.operation_name.as_deref(), response))
    }

    /// Charges for a document, before any of it runs.
    async fn charge(&self, ready: &Ready, requester: &Requester) -> Result<Admitted, ServerError> {
        self.admit(&ready.found.document.asked, ready.operation_name.as_deref(), &ready.variables, requester).await
    }

    /// What resolvers find who work for this requester.
    fn context(&self, requester: Requester, price: Price) -> RequestContext {
        RequestContext { loaders: Loaders::new(&self.application, &requester), application: self.application.clone(), requester, price }
    }

    /// An answer of a document that ran, as the specification has it and as clients see it.
    fn finished(&self, ready: &Ready, mut response: Response) -> Response {
        let document = &ready.found.document;
        if document.must_complete || !response.errors.is_empty() {
            complete(&document.prepared, ready.operation_name.as_deref(), &ready.variables, &self.types, &mut response);
        }
        self.documents.keep(&ready.found);
        response.errors.truncate(self.documents.limits().errors);
        response.errors = response.errors.into_iter().map(error::finish).collect();
        response
    }

    /// A mutation runs in a task of its own, so that a client that hangs up cancels nothing.
    async fn execute(self: &Arc<Self>, request: Request, mutates: bool) -> Result<Response, tokio::task::JoinError> {
        if !mutates {
            return Ok(self.schema.execute(request).await);
        }
        let graph = self.clone();
        tokio::spawn(super::http::trace::carry(async move { graph.schema.execute(request).await })).await
    }
}

/// The first variable of the operation that would run that must have a value and has none (GraphQL specification, `CoerceVariableValues`).
fn missing_variable<'a>(document: &'a ExecutableDocument, name: Option<&str>, variables: &Variables) -> Option<&'a str> {
    let definitions = &operation_of(document, name)?.variable_definitions;
    let is_missing = |definition: &VariableDefinition| match variables.get(&definition.name.node) {
        Some(Value::Null) => !definition.var_type.node.nullable,
        Some(_) => false,
        None => !definition.var_type.node.nullable && definition.default_value.is_none(),
    };
    definitions.iter().find(|definition| is_missing(&definition.node)).map(|definition| definition.node.name.node.as_str())
}

/// The context of the request a resolver works for.
pub(crate) trait ContextExt {
    /// Everything a resolver may use.
    fn of_request(&self) -> Result<&RequestContext, Fault>;
}

impl ContextExt for async_graphql::Context<'_> {
    fn of_request(&self) -> Result<&RequestContext, Fault> {
        self.data::<RequestContext>().map_err(|_| Fault::internal(&anyhow::anyhow!("a document ran without its request's context")))
    }
}

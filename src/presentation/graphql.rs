//! The graph: one schema, and how one document is answered by it.
//!
//! Resolvers parse, build a command with the requester, call, map and return. What a role may do is asked by guards and again by the
//! use cases; whose a row is, is in every query below.

pub mod account;
pub mod agreement;
pub mod audit;
pub mod change;
pub mod completion;
pub mod consent;
pub mod cost;
pub mod documents;
pub mod email_change;
pub mod erasure;
pub mod error;
pub mod export;
pub mod global_id;
pub mod guard;
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
pub mod survey;
pub mod sync;
pub mod transaction;
pub mod user;

use std::sync::{Arc, LazyLock};

use async_graphql::{
    EmptySubscription, MergedObject, Request, Response, Schema, ServerError, Value, Variables,
    parser::types::{ExecutableDocument, OperationType, VariableDefinition},
};

use crate::application::{Application, access::Requester};

use self::{
    completion::{TypeIndex, complete, operation_of, supply_defaults},
    cost::Lists,
    documents::{Documents, PersistedQuery},
    error::{Code, Fault},
    loader::Loaders,
    rate_limit::Price,
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
    link::upkeep::LinkUpkeepMutation,
    sync::SyncMutation,
    import::ImportMutation,
);

type DashtamSchema = Schema<Query, Mutation, EmptySubscription>;

fn schema() -> DashtamSchema {
    Schema::build(Query::default(), Mutation::default(), EmptySubscription).disable_suggestions().finish()
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
        let found = match self.documents.find(&question, &self.types) {
            Ok(found) => found,
            Err(refused) => return self.refuse(refused, &requester).await,
        };
        let document = &found.document.asked;
        let mut variables = question.variables;
        supply_defaults(document, question.operation_name.as_deref(), &mut variables);
        if let Err(refused) = limits::check(document, Some(&variables), self.documents.limits()) {
            return self.refuse(refused, &requester).await;
        }
        let operation = operation_of(document, question.operation_name.as_deref()).map(|operation| operation.ty);
        if question.read_only && operation.is_some_and(|operation| operation != OperationType::Query) {
            return Answer::NotReadOnly;
        }
        if let Some(name) = missing_variable(document, question.operation_name.as_deref(), &variables) {
            return Answer::Refused(vec![error::refusal(Code::BadUserInput, &format!("the variable ${name} must have a value"))]);
        }
        let admitted = match self.admit(document, question.operation_name.as_deref(), &variables, &requester).await {
            Ok(admitted) => admitted,
            Err(refused) => return Answer::Refused(vec![refused]),
        };
        let prepared = &found.document.prepared;
        let price = admitted.price;
        let context = RequestContext { loaders: Loaders::new(&self.application, &requester), application: self.application.clone(), requester, price };
        let mut request = Request::new(String::new()).variables(variables.clone()).data(context);
        request.operation_name.clone_from(&question.operation_name);
        request.set_parsed_query(prepared.clone());
        let response = self.execute(request, operation == Some(OperationType::Mutation)).await;
        let mut response = match response {
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
        if found.document.must_complete || !response.errors.is_empty() {
            complete(prepared, question.operation_name.as_deref(), &variables, &self.types, &mut response);
        }
        response.errors.truncate(self.documents.limits().errors);
        response.errors = response.errors.into_iter().map(error::finish).collect();
        let response = self.settle(admitted, document, question.operation_name.as_deref(), response);
        self.documents.keep(found);
        Answer::Ran(response)
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

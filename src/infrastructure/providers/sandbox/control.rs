//! What tells the sandbox bank what to do, over HTTP: `GET /` is a page, `GET /state` says how things stand, and `POST /clock`, `/faults`,
//! `/events`, `/settings` and `/reset` take forms.
//!
//! The bank is open on this machine only and keeps nothing that is real, so nobody is asked who they are. Another site in a browser on this
//! machine is kept out by its `Origin`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{RawForm, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use url::Url;

use super::{
    SandboxBank,
    bank::Ledger,
    faults::{Faults, one},
    pages,
    parameters::Parameters,
    register::Register,
    script::{NotDone, Script},
    server::private,
};
use crate::domain::{time::Timestamp, transaction::words};

words! {
    /// What can happen at a bank.
    BankEvent {
        /// The youngest booked row of an account is taken back.
        RemoveRow = "remove_row",
        /// All rows that were taken back are there again.
        RestoreRows = "restore_rows",
        /// Every row has another id from now on.
        ReissueIds = "reissue_ids",
        /// A row that was told of is taken back as soon as the next page is asked for.
        ChangeWhilePaging = "change_while_paging",
        /// An account is closed.
        CloseAccount = "close_account",
        /// A closed account is opened again.
        ReopenAccount = "reopen_account",
        /// The amounts and the balance of an account come with the other sign.
        FlipSigns = "flip_signs",
        /// Every access token ends; refreshing goes on.
        EndAccessTokens = "end_access_tokens",
        /// Every consent ends, as if its owner had withdrawn it at the bank.
        EndConsents = "end_consents",
    }
}

/// The account things happen to when none is named.
const USUAL_ACCOUNT: &str = "harbour-checking";

/// What can be put back to how it was, in the words of `POST /reset`.
pub(super) const PARTS: [&str; 5] = ["all", "clock", "faults", "events", "settings"];

pub(super) fn routes() -> Router<Arc<SandboxBank>> {
    Router::new()
        .route("/", get(page))
        .route("/state", get(state))
        .route("/clock", post(clock))
        .route("/faults", post(faults))
        .route("/events", post(events))
        .route("/settings", post(settings))
        .route("/reset", post(reset))
        .layer(middleware::from_fn(from_here))
}

/// A browser says which site a form comes from; another one than this has no business here.
async fn from_here(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) { refused(StatusCode::FORBIDDEN, "Another site cannot tell this bank what to do.") } else { next.run(request).await }
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = header(header::HOST).unwrap_or_default();
    header(header::ORIGIN).is_some_and(|origin| origin != format!("http://{host}") && origin != format!("https://{host}"))
}

/// `GET /`: everything that can be told, as forms.
async fn page(State(bank): State<Arc<SandboxBank>>) -> Response {
    show(&bank, None)
}

/// `GET /state`: how things stand.
async fn state(State(bank): State<Arc<SandboxBank>>) -> Response {
    private(stand(&bank))
}

/// `POST /clock`: `forward`, a span.
async fn clock(State(bank): State<Arc<SandboxBank>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    tell(&bank, &headers, &form, &["forward"], |form, register, _| {
        let span = one(form, "forward")?.ok_or_else(|| NotDone::new("forward is how far the clock goes, such as 90m, 36h, 7d or 2w."))?;
        register.script.forward(span)
    })
    .await
}

/// `POST /faults`: `fault`, `at`, `after`, `times`, `seconds`.
async fn faults(State(bank): State<Arc<SandboxBank>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    tell(&bank, &headers, &form, &["fault", "at", "after", "times", "seconds"], |form, register, _| register.faults.add(form)).await
}

/// `POST /events`: `event`, and for some of them `account`.
async fn events(State(bank): State<Arc<SandboxBank>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    tell(&bank, &headers, &form, &["event", "account"], |form, register, ledger| {
        let event = one(form, "event")?.and_then(BankEvent::parse);
        let names: Vec<&str> = BankEvent::ALL.iter().map(|event| event.as_str()).collect();
        let event = event.ok_or_else(|| NotDone::new(format!("event is one of {}.", names.join(", "))))?;
        happen(event, one(form, "account")?.unwrap_or(USUAL_ACCOUNT), register, ledger)
    })
    .await
}

/// `POST /settings`: `page_rows`, `consent` (a span), `zone` (an offset).
async fn settings(State(bank): State<Arc<SandboxBank>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    tell(&bank, &headers, &form, &["page_rows", "consent", "zone"], |form, register, _| {
        let given = (one(form, "page_rows")?, one(form, "consent")?, one(form, "zone")?);
        if given == (None, None, None) {
            return Err(NotDone::new("Say page_rows, consent or zone."));
        }
        given.0.map_or(Ok(()), |rows| register.script.set_page_rows(rows))?;
        given.1.map_or(Ok(()), |span| register.script.set_consent(span))?;
        given.2.map_or(Ok(()), |zone| register.script.set_zone(zone))
    })
    .await
}

/// `POST /reset`: `part`, everything when none is named. Consents stay.
async fn reset(State(bank): State<Arc<SandboxBank>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    tell(&bank, &headers, &form, &["part"], |form, register, _| {
        match one(form, "part")?.unwrap_or("all") {
            "all" => (register.script, register.faults) = (Script::default(), Faults::default()),
            "clock" => register.script.ahead = 0,
            "faults" => register.faults = Faults::default(),
            "events" => register.script.forget_events(),
            "settings" => register.script.forget_settings(),
            _ => return Err(NotDone::new(format!("part is one of {}.", PARTS.join(", ")))),
        }
        Ok(())
    })
    .await
}

fn happen(event: BankEvent, account: &str, register: &mut Register, ledger: &Ledger) -> Result<(), NotDone> {
    let changes = &mut register.script.changes;
    match event {
        BankEvent::RemoveRow => changes.remove_youngest(ledger, account)?,
        BankEvent::RestoreRows => changes.restore(),
        BankEvent::ReissueIds => changes.reissue(),
        BankEvent::ChangeWhilePaging => register.script.changes_while_paging = true,
        BankEvent::CloseAccount => changes.close(ledger, account, true)?,
        BankEvent::ReopenAccount => changes.close(ledger, account, false)?,
        BankEvent::FlipSigns => changes.flip(ledger, account)?,
        BankEvent::EndAccessTokens => register.end_access(),
        BankEvent::EndConsents => register.end_all(),
    }
    Ok(())
}

/// Does what a form asks for, all of it or nothing, and answers how things stand: to a browser by its page, else as JSON.
async fn tell<F>(bank: &Arc<SandboxBank>, headers: &HeaderMap, form: &[u8], known: &[&str], order: F) -> Response
where
    F: FnOnce(&Parameters, &mut Register, &Ledger) -> Result<(), NotDone> + Send + 'static,
{
    let form = Parameters::parse(form);
    let done = if let Some(unknown) = form.unknown(known) {
        Err(NotDone::new(format!("{unknown} is unknown here; known are {}.", known.join(", "))))
    } else {
        let ledger = bank.ledger();
        let obeyed = bank.told(move |register| {
            let mut after = register.clone();
            order(&form, &mut after, &ledger).map(|()| *register = after)
        });
        match obeyed.await {
            Ok(done) => done,
            Err(failed) => return failed,
        }
    };
    let is_browser = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"));
    match done {
        Ok(()) if is_browser => Redirect::to(&base(bank)).into_response(),
        Ok(()) => private(stand(bank)),
        Err(NotDone(why)) if is_browser => show(bank, Some(&why)),
        Err(NotDone(why)) => refused(StatusCode::UNPROCESSABLE_ENTITY, &why),
    }
}

fn show(bank: &SandboxBank, problem: Option<&str>) -> Response {
    pages::switches(&base(bank), &bank.ledger(), &stand(bank), problem)
}

/// The path this bank is under.
fn base(bank: &SandboxBank) -> String {
    let issuer = bank.desk().registration.as_ref().and_then(|known| Url::parse(&known.issuer).ok());
    issuer.map(|issuer| issuer.path().to_owned()).unwrap_or_default()
}

fn stand(bank: &SandboxBank) -> Value {
    let now: Timestamp = bank.now();
    let desk = bank.desk();
    let (register, script) = (&desk.register, &desk.register.script);
    let mut events = json!(script.changes);
    events["change_while_paging"] = json!(script.changes_while_paging);
    json!({
        "now": now.to_string(),
        "ahead_seconds": script.ahead,
        "consents": register.consents(now),
        "faults": register.faults,
        "events": events,
        "settings": { "page_rows": script.page_rows(), "consent_minutes": script.consent().num_minutes(), "zone": script.zone() },
    })
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, private(json!({ "error": "invalid_request", "message": why }))).into_response()
}

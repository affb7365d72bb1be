// The session of this page.
//
// Tokens live in `held` and nowhere else: not in storage, not in a cookie, not in a URL. A reload forgets them, so a page that goes for
// good ends its session at the server too.
import { mutate, post } from "./server.js";
import { watched } from "./watched.js";

const CREATE = `mutation SignIn($input: CreateSessionInput!) {
  createSession(input: $input) { session { id } accessToken refreshToken expiresIn challenge { token } userErrors { code message } }
}`;
const VERIFY = `mutation Verify($input: VerifySecondFactorInput!) {
  verifySecondFactor(input: $input) { session { id } accessToken refreshToken expiresIn userErrors { code message } }
}`;
const REFRESH = `mutation Renew($input: RefreshSessionInput!) {
  refreshSession(input: $input) { accessToken refreshToken expiresIn userErrors { code message } }
}`;
const REVOKE = `mutation SignOut($input: RevokeSessionInput!) {
  revokeSession(input: $input) { userErrors { code message } }
}`;
const REGISTER = `mutation Register($input: RegisterUserInput!) {
  registerUser(input: $input) { accepted userErrors { code message } }
}`;
const VIEWER = "{ viewer { email } }";
const ENDED = "Your session has ended. Please sign in again.";

// A token is renewed this long before it ends, or halfway through when it lives shorter than twice that.
const LEAD = 60_000;

// Who is signed in, `{ id, email }`, or null; and the one thing to tell the person, or "".
export const who = watched(null);
export const notice = watched("");

let held = null;
let renewal = null;
let timer = 0;

function hold(tokens) {
  const lifetime = tokens.expiresIn * 1000;
  held = { ...held, accessToken: tokens.accessToken, refreshToken: tokens.refreshToken, renewAt: Date.now() + Math.max(lifetime - LEAD, lifetime / 2) };
  clearTimeout(timer);
  // Whoever asks next hears of a failure: token() tries again.
  timer = setTimeout(() => renew().catch((failure) => notice.set(failure.message)), held.renewAt - Date.now());
}

function forget(text) {
  held = null;
  renewal = null;
  clearTimeout(timer);
  who.set(null);
  notice.set(text);
}

async function adopt(payload) {
  const { json } = await post({ query: VIEWER }, payload.accessToken);
  if (!json.data?.viewer) throw new Error("The server does not know the session it has just made.");
  held = { id: payload.session.id };
  hold(payload);
  who.set({ id: held.id, email: json.data.viewer.email });
  notice.set("");
}

// Signs in, and answers null; or answers the challenge of a user with a second factor, which `verify` goes on with.
export async function signIn(email, password) {
  const payload = await mutate(CREATE, { email, password });
  if (payload.challenge) return payload.challenge.token;
  await adopt(payload);
  return null;
}

export async function verify(challenge, code) {
  await adopt(await mutate(VERIFY, { challenge, code }));
}

export async function register(email, password) {
  await mutate(REGISTER, { email, password });
}

// A refresh token works once, so renewals that meet share one request.
function renew() {
  const of = held;
  renewal ??= mutate(REFRESH, { refreshToken: of.refreshToken })
    .then((tokens) => {
      if (held?.id === of.id) hold(tokens);
    })
    .catch((failure) => {
      if (failure.refused && held?.id === of.id) forget(ENDED);
      throw failure;
    })
    .finally(() => {
      renewal = null;
    });
  return renewal;
}

// The access token to send, renewed first when its time is nearly over: timers sleep while a laptop does.
async function token() {
  if (!held) return null;
  if (renewal || Date.now() >= held.renewAt) await renew();
  return held?.accessToken ?? null;
}

export async function signOut() {
  try {
    const accessToken = await token();
    if (accessToken) await mutate(REVOKE, { sessionId: held.id }, accessToken);
    forget("You are signed out.");
  } catch (failure) {
    forget(`This page has forgotten your tokens, but the server did not confirm the end of the session: ${failure.message}`);
  }
}

// Asks as whoever is signed in, and minds what the answer means for this page's session.
export async function ask(request, headers) {
  const { json } = await post(request, await token(), { headers });
  await mind(request, json);
  return json;
}

async function mind(request, { data, extensions }) {
  const { createSession, verifySecondFactor, refreshSession, revokeSession } = data ?? {};
  const begun = verifySecondFactor ?? createSession;
  if (begun?.accessToken && begun.session?.id && !held) await adopt(begun);
  // A journey spent the page's own refresh token: its successor is the page's now.
  if (held && refreshSession?.accessToken && JSON.stringify(request).includes(held.refreshToken)) hold(refreshSession);
  if (held && revokeSession?.session?.id === held.id) return forget("You are signed out.");
  if (held && extensions?.authentication) {
    if (extensions.authentication !== "TOKEN_EXPIRED") return forget(ENDED);
    await renew();
    notice.set("Your access token had run out and was renewed: run it again.");
  }
}

// The refresh token, for the journey that shows how to use it.
export const refreshToken = () => held?.refreshToken ?? "";

addEventListener("pagehide", ({ persisted }) => {
  if (persisted || !held) return;
  // Nobody is left to be told of a failure; the session then ends by its own time.
  post({ query: REVOKE, variables: { input: { sessionId: held.id } } }, held.accessToken, { keepalive: true }).catch(() => {});
});

// The built-in playground: sign in, ask, look at the answer.
//
// Tokens live in this closure and nowhere else: not in storage, not in a cookie, not in a URL. Everything that comes from the
// server reaches the page as text, never as markup.
"use strict";

(() => {
  const ready = [
    {
      name: "Who am I?",
      about: "The signed-in user, and null for nobody.",
      query: `query Viewer {
  viewer {
    id
    email
    role
    tier
    createdAt
  }
}`,
    },
    {
      name: "My accounts with transactions",
      about: "The first ten accounts, each with its latest twenty transactions.",
      query: `query AccountsWithTransactions {
  viewer {
    id
    email
    accounts(first: 10) {
      nodes {
        id
        name
        type
        currency
        balances {
          current {
            amount
          }
        }
        transactions(first: 20) {
          nodes {
            id
            postedOn
            amount {
              amount
              currency
            }
            description
            category
          }
        }
      }
    }
  }
}`,
    },
    {
      name: "My links",
      about: "Your relations to providers, and how each is doing.",
      query: `query Links {
  viewer {
    links(first: 10) {
      nodes {
        id
        alias
        status
        provider {
          slug
          name
        }
        createdAt
      }
    }
  }
}`,
    },
    {
      name: "Providers",
      about: "What can be linked.",
      query: `query Providers {
  providers {
    slug
    name
  }
}`,
    },
    {
      name: "Link the sandbox bank",
      about: "Begins a link. The answer holds the address where you agree; a link to it appears above the answer.",
      query: `mutation BeginLink($input: BeginLinkInput!) {
  beginLink(input: $input) {
    link {
      id
      status
    }
    authorizationUrl
    expiresAt
    userErrors {
      code
      message
      field
    }
  }
}`,
      variables: { input: { provider: "sandbox" } },
    },
  ];

  const createSession = `mutation SignIn($input: CreateSessionInput!) {
  createSession(input: $input) { session { id } accessToken refreshToken expiresIn challenge { token } userErrors { code message } }
}`;
  const verifySecondFactor = `mutation Verify($input: VerifySecondFactorInput!) {
  verifySecondFactor(input: $input) { session { id } accessToken refreshToken expiresIn userErrors { code message } }
}`;
  const refreshSession = `mutation Refresh($input: RefreshSessionInput!) {
  refreshSession(input: $input) { accessToken refreshToken expiresIn userErrors { code message } }
}`;
  const revokeSession = `mutation SignOut($input: RevokeSessionInput!) {
  revokeSession(input: $input) { userErrors { code message } }
}`;

  const element = (id) => document.getElementById(id);
  const page = {
    signIn: element("sign-in"),
    email: element("email"),
    password: element("password"),
    signInButton: element("sign-in-button"),
    verify: element("verify"),
    code: element("code"),
    verifyButton: element("verify-button"),
    startOver: element("start-over"),
    signedIn: element("signed-in"),
    who: element("who"),
    signOut: element("sign-out"),
    notice: element("notice"),
    ready: element("ready"),
    about: element("about"),
    query: element("query"),
    variables: element("variables"),
    variablesProblem: element("variables-problem"),
    run: element("run"),
    status: element("status"),
    onward: element("onward"),
    onwardLink: element("onward-link"),
    problems: element("problems"),
    answer: element("answer"),
  };

  // A token is renewed this long before it ends, or halfway through when it lives shorter than twice that.
  const renewalLead = 60_000;
  // { id, email, accessToken, refreshToken, renewAt } while somebody is signed in.
  let session = null;
  let renewal = null;
  let timer = 0;
  // { email, token } between the password and the code of somebody with a second factor.
  let challenge = null;

  // --- Talking to the server -----------------------------------------------------------------------------------------------

  async function post(request, accessToken) {
    const headers = {
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json, application/json;q=0.9",
    };
    if (accessToken) headers.Authorization = `Bearer ${accessToken}`;
    const started = performance.now();
    const response = await fetch("/graphql", {
      method: "POST",
      headers,
      body: JSON.stringify(request),
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
    const text = await response.text();
    const answer = { status: response.status, milliseconds: Math.round(performance.now() - started), traceId: response.headers.get("X-Trace-Id"), text, json: null };
    try {
      answer.json = JSON.parse(text);
    } catch {
      // Shown as the text it is.
    }
    return answer;
  }

  // The payload of one mutation, or an error whose message may be shown.
  async function mutate(query, field, input, accessToken) {
    let answer;
    try {
      answer = await post({ query, variables: { input } }, accessToken);
    } catch {
      throw new Error("The server cannot be reached. Is it still running?");
    }
    const payload = answer.json?.data?.[field];
    if (!payload) {
      const reason = answer.json?.errors?.[0]?.message ?? answer.json?.detail ?? `The server answered with status ${answer.status}.`;
      throw new Error(answer.traceId ? `${reason} (trace ${answer.traceId})` : reason);
    }
    if (payload.userErrors?.length) {
      const refusal = new Error(payload.userErrors.map((error) => error.message).join(" "));
      refusal.refused = payload.userErrors.map((error) => error.code);
      throw refusal;
    }
    return payload;
  }

  // --- The session -----------------------------------------------------------------------------------------------------------

  function notify(text, kind = false) {
    page.notice.textContent = text;
    page.notice.classList.toggle("kind", kind);
  }

  function keep(tokens) {
    const lifetime = tokens.expiresIn * 1000;
    session = { ...session, accessToken: tokens.accessToken, refreshToken: tokens.refreshToken, renewAt: Date.now() + Math.max(lifetime - renewalLead, lifetime / 2) };
    clearTimeout(timer);
    timer = setTimeout(() => renew().catch(() => {}), session.renewAt - Date.now());
  }

  function forget(text, kind) {
    session = null;
    renewal = null;
    clearTimeout(timer);
    page.who.textContent = "";
    showForm(page.signIn);
    notify(text, kind);
  }

  // One of the three is in the bar: the password, the code, or who is signed in.
  function showForm(form) {
    for (const other of [page.signIn, page.verify, page.signedIn]) other.hidden = other !== form;
  }

  function begin(payload, email) {
    session = { id: payload.session?.id, email };
    keep(payload);
    page.who.textContent = email;
    showForm(page.signedIn);
    notify("");
    page.query.focus();
  }

  async function signIn(event) {
    event.preventDefault();
    const email = page.email.value.trim();
    page.signInButton.disabled = true;
    notify("Signing in …", true);
    try {
      const payload = await mutate(createSession, "createSession", { email, password: page.password.value });
      page.password.value = "";
      if (payload.challenge) askForCode(email, payload.challenge.token);
      else begin(payload, email);
    } catch (error) {
      notify(error.message);
      page.password.focus();
    } finally {
      page.signInButton.disabled = false;
    }
  }

  function askForCode(email, token) {
    challenge = { email, token };
    page.code.value = "";
    showForm(page.verify);
    notify("This account has a second factor: the six digits that your authenticator app shows now, or one of your recovery codes.", true);
    page.code.focus();
  }

  function startOver(text = "") {
    challenge = null;
    showForm(page.signIn);
    notify(text);
    page.password.focus();
  }

  async function verify(event) {
    event.preventDefault();
    const { email, token } = challenge;
    page.verifyButton.disabled = true;
    notify("Looking at the code …", true);
    try {
      const payload = await mutate(verifySecondFactor, "verifySecondFactor", { challenge: token, code: page.code.value });
      challenge = null;
      begin(payload, email);
    } catch (error) {
      if (error.refused?.includes("CHALLENGE_INVALID")) return startOver(error.message);
      notify(error.message);
      page.code.select();
    } finally {
      page.verifyButton.disabled = false;
    }
  }

  // A refresh token works once, so renewals that meet share one request.
  function renew() {
    const of = session;
    renewal ??= mutate(refreshSession, "refreshSession", { refreshToken: of.refreshToken })
      .then((tokens) => {
        if (session?.id === of.id) keep(tokens);
      })
      .catch((error) => {
        if (error.refused && session?.id === of.id) forget("Your session has ended. Please sign in again.");
        throw error;
      })
      .finally(() => {
        renewal = null;
      });
    return renewal;
  }

  // The access token to send, renewed first when its time is nearly over: timers sleep while a laptop does.
  async function token() {
    if (!session) return null;
    if (renewal || Date.now() >= session.renewAt) await renew();
    return session?.accessToken ?? null;
  }

  async function signOut() {
    const ending = session;
    if (!ending) return;
    page.signOut.disabled = true;
    try {
      const accessToken = await token();
      if (accessToken) await mutate(revokeSession, "revokeSession", { sessionId: ending.id }, accessToken);
      forget("You are signed out.", true);
    } catch (error) {
      forget(`This page has forgotten your tokens, but the server did not confirm the end of the session: ${error.message}`);
    } finally {
      page.signOut.disabled = false;
    }
  }

  // --- Asking ----------------------------------------------------------------------------------------------------------------

  // The variables, or null after having said what is wrong with them.
  function variables() {
    const text = page.variables.value.trim();
    let problem = "";
    let value = {};
    if (text) {
      try {
        value = JSON.parse(text);
        if (value === null || typeof value !== "object" || Array.isArray(value)) problem = "Variables are one JSON object, such as { \"id\": \"…\" }.";
      } catch (error) {
        problem = `This is not JSON yet: ${error.message}`;
      }
    }
    page.variablesProblem.textContent = problem;
    if (problem) page.variables.setAttribute("aria-invalid", "true");
    else page.variables.removeAttribute("aria-invalid");
    return problem ? null : value;
  }

  function showStatus(text, look = "") {
    page.status.textContent = text;
    page.status.className = `status ${look}`.trim();
  }

  const hints = {
    UNAUTHENTICATED: "Sign in above, then run it again.",
    FORBIDDEN: "Your role does not allow this.",
    RATE_LIMITED: "Too many requests: wait a little.",
    UNAVAILABLE: "The server is busy: try again in a moment.",
  };

  // One line for each error and each refusal in the answer.
  function problemsIn(json) {
    const faults = (Array.isArray(json?.errors) ? json.errors : []).map((error) => {
      const code = error.extensions?.code;
      const place = Array.isArray(error.path) && error.path.length ? ` (at ${error.path.join(".")})` : "";
      return [code && `${code}:`, `${error.message}${place}`, hints[code]].filter(Boolean).join(" ");
    });
    const refusals = Object.values(json?.data ?? {}).flatMap((payload) => (Array.isArray(payload?.userErrors) ? payload.userErrors : []));
    const problem = json?.title && !json.data ? [[json.title, json.detail].filter(Boolean).join(": ")] : [];
    return [...faults, ...refusals.map((refusal) => [refusal.code && `${refusal.code}:`, refusal.message].filter(Boolean).join(" ")), ...problem];
  }

  // The address a bank is reached at, when the answer holds one. Only http and https are ever made clickable.
  function authorizationUrl(json) {
    const found = Object.values(json?.data ?? {}).map((payload) => payload?.authorizationUrl).find((value) => typeof value === "string");
    if (!found) return null;
    try {
      const url = new URL(found, location.href);
      return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
    } catch {
      return null;
    }
  }

  function show(answer) {
    const problems = problemsIn(answer.json);
    const trace = answer.traceId ? ` · trace ${answer.traceId}` : "";
    const good = answer.status < 400 && problems.length === 0;
    showStatus(`HTTP ${answer.status} · ${answer.milliseconds} ms${trace}`, good ? "good" : "bad");
    page.problems.replaceChildren(
      ...problems.map((text) => {
        const line = document.createElement("li");
        line.textContent = text;
        return line;
      }),
    );
    page.problems.hidden = problems.length === 0;
    const onward = authorizationUrl(answer.json);
    page.onward.hidden = !onward;
    if (onward) page.onwardLink.href = onward;
    else page.onwardLink.removeAttribute("href");
    page.answer.textContent = answer.json === null ? answer.text : JSON.stringify(answer.json, null, 2);
  }

  // The server took the request for an anonymous one, since it did not accept the token.
  async function heed(authentication) {
    if (!session || !authentication) return;
    if ((authentication.code ?? authentication) === "TOKEN_EXPIRED") {
      await renew();
      notify("Your access token had run out and was renewed: run it again.", true);
    } else {
      forget("Your session has ended. Please sign in again.");
    }
  }

  function clearAnswer() {
    page.problems.hidden = true;
    page.problems.replaceChildren();
    page.onward.hidden = true;
    page.answer.textContent = "";
  }

  async function run() {
    const query = page.query.value;
    const given = variables();
    if (page.run.disabled) return;
    if (!given) return void page.variables.focus();
    if (!query.trim()) return void showStatus("Write a query first, or choose a ready one.", "bad");
    page.run.disabled = true;
    if (session) notify("");
    showStatus("Asking …");
    try {
      const answer = await post({ query, variables: given }, await token());
      show(answer);
      await heed(answer.json?.extensions?.authentication);
    } catch (error) {
      clearAnswer();
      showStatus(error instanceof TypeError ? "The server cannot be reached. Is it still running?" : error.message, "bad");
    } finally {
      page.run.disabled = false;
    }
  }

  // --- The page --------------------------------------------------------------------------------------------------------------

  function choose(index) {
    const { about, query, variables: example } = ready[index];
    page.about.textContent = about;
    page.query.value = query;
    page.variables.value = example ? JSON.stringify(example, null, 2) : "";
    variables();
  }

  page.ready.append(...ready.map(({ name }, index) => new Option(name, String(index))));
  page.ready.addEventListener("change", () => choose(Number(page.ready.value)));
  page.signIn.addEventListener("submit", signIn);
  page.verify.addEventListener("submit", verify);
  page.startOver.addEventListener("click", () => startOver());
  page.signOut.addEventListener("click", signOut);
  page.run.addEventListener("click", run);
  page.variables.addEventListener("input", variables);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  });
  page.ready.selectedIndex = 0;
  choose(0);
})();

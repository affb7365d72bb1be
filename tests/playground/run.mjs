// The playground as a person would use it, in a real browser, against the built binary:
//   node run.mjs path/to/dashtam
// CHROMIUM says where the browser is, SCREENSHOTS where the pictures go.
import assert from "node:assert/strict";
import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret, TOTP } from "otpauth";
import { chromium } from "playwright-core";
import { Person, Visitor, asked, waits } from "./person.mjs";
import { demo } from "./server.mjs";

const DESK = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 375, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const JOURNEYS = ["Sign in", "Link", "Sync", "Accounts with transactions", "Page on", "Import", "Refresh", "Revoke"];

const pictures = process.env.SCREENSHOTS ?? (await mkdtemp(join(tmpdir(), "dashtam-pictures.")));
await mkdir(pictures, { recursive: true });
const { ready, stop } = await demo(process.argv[2]);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    ...["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    // Chromium's sandbox refuses root.
    ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  ],
});

// What no page may do, gathered from every page of the run.
const complaints = [];

async function someone(options) {
  const context = await browser.newContext({ ...DESK, ...options });
  context.setDefaultTimeout(15_000);
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== ready.url) complaints.push(`a request to ${url.origin}`);
  });
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`the console: ${message.text()}`);
  });
  context.on("weberror", (thrown) => complaints.push(`thrown: ${thrown.error().message}`));
  const page = await context.newPage();
  return new Person(page, ready.url);
}

const picture = (page, name) => page.screenshot({ path: join(pictures, `${name}.png`) });

// Asks the graph past the page.
async function graph(query, variables, accessToken) {
  const headers = { "Content-Type": "application/json", ...(accessToken && { Authorization: `Bearer ${accessToken}` }) };
  const response = await fetch(`${ready.url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  return response.json();
}

// What a mutation answers; a refusal fails the step.
async function mutate(field, input, selection, accessToken = ready.accessToken) {
  const query = `mutation($input: ${field[0].toUpperCase()}${field.slice(1)}Input!) { ${field}(input: $input) { ${selection} userErrors { code } } }`;
  const bare = `mutation { ${field} { ${selection} userErrors { code } } }`;
  const { data } = await graph(input ? query : bare, input && { input }, accessToken);
  assert.deepEqual(data[field].userErrors, []);
  return data[field];
}

const SESSIONS = "{ viewer { sessions(last: 100) { nodes { id revokedAt } } } }";
async function isRevoked(id) {
  const { data } = await graph(SESSIONS, {}, ready.accessToken);
  return data.viewer.sessions.nodes.find((session) => session.id === id).revokedAt !== null;
}

async function stored(page) {
  return page.evaluate(async () => ({
    local: Object.entries(localStorage),
    session: Object.entries(sessionStorage),
    databases: await indexedDB.databases(),
    cookies: document.cookie,
  }));
}

let ann;

const steps = {
  async "the page comes whole, signed out, with the journeys in order"() {
    ann = await someone({ colorScheme: "light" });
    await ann.arrive();
    await ann.seesNobody();
    const titles = await ann.page.getByRole("navigation", { name: "Journeys" }).locator("strong").allTextContents();
    assert.deepEqual(titles.filter((title) => JOURNEYS.includes(title)), JOURNEYS);
    await picture(ann.page, "desk-light-signed-out");
  },

  async "who is not signed in is told what to do"() {
    await ann.chooses("Link");
    const { errors } = await ann.runs();
    assert.equal(errors[0].extensions.code, "UNAUTHENTICATED");
    await ann.page.getByText("sign in above, then run it again").waitFor();
  },

  async "a wrong password is told, and a right one signs in"() {
    await ann.chooses("Sign in");
    await ann.signIn(ready.email, "not the password");
    await ann.page.getByRole("alert").getByText(/wrong/).waitFor();
    await picture(ann.page, "desk-light-wrong-password");
    const door = ann.page.getByRole("dialog", { name: "Sign in" });
    await door.getByLabel("Password").fill(ready.password);
    await door.getByRole("button", { name: "Sign in" }).click();
    await ann.seesThemselves(ready.email);
  },

  async "a query of one's own is answered"() {
    await ann.page.getByRole("button", { name: "New tab" }).click();
    await ann.writes("query Me { viewer { email role } }");
    const { data } = await ann.runs();
    assert.equal(data.viewer.email, ready.email);
  },

  async "a bank is linked through its pages"() {
    await ann.chooses("Link");
    const { data } = await ann.runs();
    assert.equal(await ann.wayToTheBank().getAttribute("href"), data.beginLink.authorizationUrl);
    await picture(ann.page, "desk-light-link");
    const visitor = await ann.goesToTheBank();
    assert.equal(await visitor.page.evaluate(() => window.opener), null);
    await picture(visitor.page, "pages-light-start");
    await visitor.continues();
    await picture(visitor.page, "pages-light-consent");
    await visitor.agrees();
    assert.match(await visitor.heading(), /is linked/);
    await picture(visitor.page, "pages-light-linked");
    await visitor.page.close();
  },

  async "the link is synced with what linking brought"() {
    await ann.chooses("Sync");
    const { linkId } = await ann.waitsForVariables(({ linkId }) => /^link_[0-9a-z]{26}$/.test(linkId));
    const synced = async () => {
      const query = "query($id: ID!) { node(id: $id) { ... on Link { status lastSync { id status } } } }";
      const { node } = await waits(
        async () => (await graph(query, { id: linkId }, ready.accessToken)).data,
        ({ node }) => ["SUCCEEDED", "FAILED"].includes(node.lastSync.status),
      );
      assert.deepEqual([node.status, node.lastSync.status], ["ACTIVE", "SUCCEEDED"]);
      return node.lastSync.id;
    };
    // Linking brings a first sync of its own.
    await synced();
    const { data } = await ann.runs();
    assert.deepEqual(data.syncLink.userErrors, []);
    assert.equal(await synced(), data.syncLink.sync.id);
  },

  async "the accounts are there with their transactions"() {
    await ann.chooses("Accounts with transactions");
    const { data } = await ann.runs();
    const accounts = data.viewer.accounts.nodes;
    assert.ok(accounts.length >= 7 && accounts.every(({ balances }) => balances.current));
    assert.ok(accounts.some(({ transactions }) => transactions.nodes.length === 20));
    await picture(ann.page, "desk-light-accounts");
  },

  async "paging on goes on from page to page"() {
    await ann.chooses("Page on");
    const first = await ann.waitsForVariables(({ after }) => after);
    const { data } = await ann.runs();
    const { totalCount, nodes, pageInfo } = data.account.transactions;
    assert.equal(nodes.length, Math.min(totalCount - 20, 50));
    const second = await ann.waitsForVariables(({ after }) => after !== first.after);
    assert.equal(second.after, pageInfo.hasNextPage ? pageInfo.endCursor : undefined);
  },

  async "the sample file is imported, and the second time changes nothing"() {
    await ann.chooses("Import");
    await ann.waitsForVariables(({ content }) => content);
    const first = (await ann.runs()).data.importStatement.import;
    assert.deepEqual([first.accountsCreated, first.transactionsCreated, first.problems], [1, 3, []]);
    const second = (await ann.runs()).data.importStatement.import;
    assert.deepEqual([second.accountsCreated, second.transactionsCreated, second.transactionsKnown], [0, 0, 3]);
  },

  async "what refreshing by hand spends, the page does not spend again"() {
    await ann.chooses("Refresh");
    const { refreshToken } = await ann.waitsForVariables(({ refreshToken }) => refreshToken);
    assert.deepEqual((await ann.runs()).data.refreshSession.userErrors, []);
    await ann.waitsForVariables((variables) => variables.refreshToken !== refreshToken);
    assert.deepEqual((await ann.runs()).data.refreshSession.userErrors, []);
    await ann.seesThemselves(ready.email);
  },

  async "the documentation explains a type"() {
    await ann.page.getByRole("button", { name: "Show Documentation Explorer" }).click();
    await ann.page.getByRole("link", { name: "Account", exact: true }).click();
    await ann.page.getByText("An account at a bank, a broker or in a statement file.").waitFor();
    await picture(ann.page, "desk-light-documentation");
    await ann.page.getByRole("button", { name: "Hide Documentation Explorer" }).click();
  },

  async "nothing but the looks is kept in the browser"() {
    assert.deepEqual(await stored(ann.page), { local: [], session: [], databases: [], cookies: "" });
    await ann.page.getByLabel("Theme").selectOption("dark");
    assert.deepEqual((await stored(ann.page)).local, [["dashtam:theme", "dark"]]);
  },

  async "dark can be chosen, and the system's is followed"() {
    const becomes = (wanted) => waits(() => ann.page.evaluate(() => getComputedStyle(document.body).backgroundColor), (ground) => ground === wanted);
    const [light, dark] = ["rgb(244, 246, 244)", "rgb(17, 23, 26)"];
    await becomes(dark);
    await ann.chooses("Accounts with transactions");
    await picture(ann.page, "desk-dark-chosen");
    await ann.page.getByLabel("Theme").selectOption("system");
    await becomes(light);
    await ann.page.emulateMedia({ colorScheme: "dark" });
    await becomes(dark);
    await ann.page.getByLabel("Theme").selectOption("light");
    await becomes(light);
    await ann.page.getByLabel("Theme").selectOption("system");
  },

  async "revoking one's own session by hand signs the page out"() {
    await ann.chooses("Revoke");
    const { sessionId } = await ann.waitsForVariables(({ sessionId }) => /^session_[0-9a-z]{26}$/.test(sessionId));
    assert.deepEqual((await ann.runs()).data.revokeSession.userErrors, []);
    await ann.seesNobody();
    assert.ok(await isRevoked(sessionId));
    await ann.page.close();
  },

  async "a token is renewed before it ends, once, however many ask"() {
    const bob = await someone();
    await bob.page.clock.install();
    await bob.arrive();
    await bob.signIn(ready.email, ready.password);
    await bob.seesThemselves(ready.email);
    await bob.page.clock.resume();
    const renewals = [];
    bob.page.on("request", (request) => {
      if (asked(request)?.query.includes("refreshSession")) renewals.push(request);
    });
    await bob.page.clock.fastForward("14:01");
    await bob.chooses("Accounts with transactions");
    const { data } = await bob.runs();
    assert.equal(data.viewer.email, ready.email);
    assert.equal(renewals.length, 1);
    await bob.page.close();
  },

  async "signing out ends the session, and so does leaving the page"() {
    for (const leave of [
      (page) => page.getByRole("button", { name: "Sign out" }).click(),
      (page) => page.reload(),
    ]) {
      const bob = await someone();
      await bob.arrive();
      const created = bob.page.waitForResponse((response) => asked(response.request())?.query.includes("createSession"));
      await bob.signIn(ready.email, ready.password);
      const { id } = (await (await created).json()).data.createSession.session;
      await bob.seesThemselves(ready.email);
      await leave(bob.page);
      await bob.seesNobody();
      await waits(() => isRevoked(id), (revoked) => revoked);
      await bob.page.close();
    }
  },

  async "whoever is new opens an account and confirms it by mail, where the server lets people"() {
    const [email, password] = ["new@example.com", "nine lanterns by the sea"];
    const { data } = await graph('{ __type(name: "RegisterUserInput") { name } }');
    const bob = await someone();
    await bob.arrive();
    await bob.page.getByRole("banner").getByRole("button", { name: "Sign in" }).click();
    const way = bob.page.getByRole("button", { name: "Create an account" });
    if (data.__type === null) {
      assert.equal(await way.count(), 0);
      return bob.page.close();
    }
    await way.click();
    const door = bob.page.getByRole("dialog");
    await door.getByLabel("E-mail").fill(email);
    await door.getByLabel("Password").fill("short");
    await door.getByRole("button", { name: "Create account" }).click();
    await door.getByRole("alert").getByText(/short/).waitFor();
    await picture(bob.page, "desk-light-account-refused");
    await door.getByLabel("Password").fill(password);
    await door.getByRole("button", { name: "Create account" }).click();
    const [mails] = await Promise.all([bob.page.context().waitForEvent("page"), door.getByRole("link", { name: "/dev/mail" }).click()]);
    await mails.getByRole("link", { name: /verify-email/ }).click();
    await mails.waitForURL(/\/verify-email\?/);
    await picture(mails, "pages-light-confirm");
    await mails.getByRole("button").click();
    await mails.waitForURL(/\/verify-email$/);
    await picture(mails, "pages-light-confirmed");
    await mails.close();
    await door.getByRole("button", { name: "Back to signing in" }).click();
    await door.getByLabel("E-mail").fill(email);
    await door.getByLabel("Password").fill(password);
    await door.getByRole("button", { name: "Sign in" }).click();
    await bob.seesThemselves(email);
    await bob.page.close();
  },

  async "a phone in the dark signs in, asks and links, and nothing is wider than it"() {
    const bob = await someone({ ...PHONE, colorScheme: "dark" });
    const fits = async (page) => {
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= PHONE.viewport.width, `${page.url()} is ${width} wide`);
    };
    await bob.arrive();
    await fits(bob.page);
    await picture(bob.page, "phone-dark-signed-out");
    await bob.signIn(ready.email, ready.password);
    await bob.seesThemselves(ready.email);
    await bob.opens("Link");
    await bob.runs();
    await fits(bob.page);
    await picture(bob.page, "phone-dark-link");
    const visitor = await bob.goesToTheBank();
    await fits(visitor.page);
    await picture(visitor.page, "phone-dark-start");
    await visitor.continues();
    await fits(visitor.page);
    await picture(visitor.page, "phone-dark-consent");
    await visitor.declines();
    assert.equal(await visitor.heading(), "Nothing was linked");
    await fits(visitor.page);
    await picture(visitor.page, "phone-dark-declined");
    await visitor.page.close();
    await bob.page.getByRole("button", { name: "Show Documentation Explorer" }).click();
    await picture(bob.page, "phone-dark-documentation");
    await bob.page.close();
  },

  async "the pages of the walk need no script"() {
    const bob = await someone({ javaScriptEnabled: false });
    const { data } = await graph('mutation { beginLink(input: { provider: "sandbox" }) { authorizationUrl } }', {}, ready.accessToken);
    const visitor = new Visitor(bob.page);
    await bob.page.goto(data.beginLink.authorizationUrl);
    await visitor.continues();
    await visitor.agrees();
    assert.match(await visitor.heading(), /is linked/);
    await bob.page.close();
  },

  async "the plain page signs in and answers too"() {
    const bob = await someone();
    await bob.page.goto(`${ready.url}/playground/plain`);
    await bob.page.getByLabel("E-mail").fill(ready.email);
    await bob.page.getByLabel("Password").fill(ready.password);
    await bob.page.getByRole("button", { name: "Sign in" }).click();
    await bob.page.getByText("Signed in as").waitFor();
    await bob.page.getByRole("button", { name: "Run" }).click();
    await bob.page.locator("#answer").getByText(ready.email).waitFor();
    await picture(bob.page, "plain-light");
    await bob.page.close();
  },

  async "whoever has a second factor is asked for a code, on either page"() {
    await mutate("reauthenticate", { password: ready.password }, "validUntil");
    const { enrolment } = await mutate("beginSecondFactor", null, "enrolment { secret }");
    const device = new TOTP({ secret: Secret.fromBase32(enrolment.secret) });
    const { recoveryCodes } = await mutate("confirmSecondFactor", { code: device.generate() }, "recoveryCodes");

    const bob = await someone();
    await bob.arrive();
    await bob.signIn(ready.email, ready.password);
    await bob.shows("000000");
    await bob.page.getByRole("alert").getByText(/code/).waitFor();
    await picture(bob.page, "desk-light-code");
    // A code counts once, so this is the one after that which confirmed the device.
    await bob.shows(device.generate({ timestamp: Date.now() + 30_000 }));
    await bob.seesThemselves(ready.email);
    const { data } = await bob.runs();
    assert.equal(data.viewer.email, ready.email);
    await bob.page.close();

    const cleo = await someone(PHONE);
    const bar = cleo.page.getByRole("banner");
    await cleo.page.goto(`${ready.url}/playground/plain`);
    const passes = async () => {
      await bar.getByLabel("E-mail").fill(ready.email);
      await bar.getByLabel("Password").fill(ready.password);
      await bar.getByRole("button", { name: "Sign in" }).click();
    };
    const shows = async (code) => {
      await bar.getByLabel("Code", { exact: true }).fill(code);
      await bar.getByRole("button", { name: "Go on" }).click();
    };
    await passes();
    await shows("000000");
    await bar.getByText(/wrong/).waitFor();
    await picture(cleo.page, "phone-plain-code");
    await bar.getByRole("button", { name: "Back" }).click();
    await passes();
    await shows(recoveryCodes[0]);
    await bar.getByText("Signed in as").waitFor();
    await cleo.page.close();

    await mutate("reauthenticate", { password: ready.password, code: recoveryCodes[1] }, "validUntil");
    await mutate("disableSecondFactor", null, "disabled");
  },

  async "a challenge that is void leads back to the password"() {
    await mutate("reauthenticate", { password: ready.password }, "validUntil");
    const { enrolment } = await mutate("beginSecondFactor", null, "enrolment { secret }");
    const { recoveryCodes } = await mutate("confirmSecondFactor", { code: new TOTP({ secret: Secret.fromBase32(enrolment.secret) }).generate() }, "recoveryCodes");
    const bob = await someone();
    await bob.arrive();
    await bob.signIn(ready.email, ready.password);
    for (let wrong = 0; wrong < 5; wrong += 1) {
      const answered = bob.page.waitForResponse((response) => asked(response.request())?.query.includes("verifySecondFactor"));
      await bob.shows("000000");
      await answered;
    }
    await bob.shows(recoveryCodes[0]);
    await bob.page.getByRole("dialog", { name: "Sign in" }).getByRole("alert").getByText(/sign in again/).waitFor();
    await bob.page.close();
    await mutate("reauthenticate", { password: ready.password, code: recoveryCodes[1] }, "validUntil");
    await mutate("disableSecondFactor", null, "disabled");
  },

  async "no page complained, was refused anything by its policy, or asked elsewhere"() {
    assert.deepEqual(complaints, []);
  },
};

let failed = 0;
for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
    console.log(`ok      ${name}`);
  } catch (failure) {
    failed += 1;
    console.log(`FAILED  ${name}\n${failure.stack}`);
    for (const page of browser.contexts().flatMap((context) => context.pages())) await picture(page, `failed-${failed}`);
  }
}
await browser.close();
await stop();
console.log(`pictures: ${pictures}`);
console.log(`playground: ${Object.keys(steps).length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

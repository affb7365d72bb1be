// A person at the playground: what they can do there and see there. Selectors live here, and not in the steps.

export class Person {
  constructor(page, url) {
    this.page = page;
    this.url = url;
  }

  // Opens the playground and waits until its editors and its schema are there.
  async arrive() {
    const schema = this.page.waitForResponse((response) => asked(response.request())?.operationName === "IntrospectionQuery");
    await this.page.goto(`${this.url}/playground`);
    await schema;
    await this.page.locator(".graphiql-query-editor .CodeMirror").waitFor();
  }

  async signIn(email, password) {
    await this.page.getByRole("banner").getByRole("button", { name: "Sign in" }).click();
    const door = this.page.getByRole("dialog", { name: "Sign in" });
    await door.getByLabel("E-mail").fill(email);
    await door.getByLabel("Password").fill(password);
    await door.getByRole("button", { name: "Sign in" }).click();
  }

  // Types a code where one is asked for.
  async shows(code) {
    const door = this.page.getByRole("dialog", { name: "Enter your code" });
    await door.getByLabel("Code").fill(code);
    await door.getByRole("button", { name: "Go on" }).click();
  }

  async seesThemselves(email) {
    await this.page.getByRole("banner").getByText(email).waitFor();
  }

  async seesNobody() {
    await this.page.getByRole("banner").getByRole("button", { name: "Sign in" }).waitFor();
  }

  // Opens a journey by its name in the list.
  async chooses(title) {
    await this.page.getByRole("navigation", { name: "Journeys" }).getByRole("button", { name: new RegExp(`^${title}`) }).click();
  }

  // Opens a journey by its tab. On a phone the tabs may still move while one is pressed, so it is pressed until the journey is there.
  async opens(operationName) {
    const tab = this.page.getByRole("button", { name: operationName, exact: true });
    const press = async () => {
      await tab.click();
      return this.text(".graphiql-query-editor");
    };
    await waits(press, (query) => new RegExp(`^(query|mutation) ${operationName}\\b`, "m").test(query));
  }

  // The variables on the screen.
  async variables() {
    return JSON.parse(await this.text(".graphiql-editor-tool"));
  }

  // Waits until the variables hold what an earlier answer brought.
  waitsForVariables(test) {
    return waits(() => this.variables(), test);
  }

  // Replaces the query, as one who pastes.
  async writes(query) {
    await this.page.locator(".graphiql-query-editor .CodeMirror").click();
    await this.page.keyboard.press("ControlOrMeta+A");
    await this.page.keyboard.insertText(query);
  }

  // Presses the button and answers what appears, once it is on the screen.
  async runs() {
    const query = await this.text(".graphiql-query-editor");
    const answered = this.page.waitForResponse((response) => asked(response.request())?.query === query);
    await this.page.getByRole("button", { name: "Execute query (Ctrl-Enter)" }).click();
    const answer = await (await answered).json();
    await waits(() => this.text(".result-window"), (shown) => shown === JSON.stringify(answer, null, 2));
    return answer;
  }

  wayToTheBank() {
    return this.page.getByRole("link", { name: "Open the bank’s consent page" });
  }

  async goesToTheBank() {
    const [opened] = await Promise.all([this.page.context().waitForEvent("page"), this.wayToTheBank().click()]);
    return new Visitor(opened);
  }

  text(place) {
    return this.page.locator(`${place} .CodeMirror`).first().evaluate((editor) => editor.CodeMirror.getValue());
  }
}

// What a request asks the graph, or null for any other request.
export function asked(request) {
  return request.method() === "POST" && new URL(request.url()).pathname === "/graphql" ? request.postDataJSON() : null;
}

// Looks until what is seen passes the test, for five seconds.
export async function waits(look, test) {
  for (const end = Date.now() + 5_000; ; ) {
    const seen = await look();
    if (test(seen)) return seen;
    if (Date.now() > end) throw new Error(`it stays ${JSON.stringify(seen)}`);
    await new Promise((later) => setTimeout(later, 50));
  }
}

// The bank's side of linking, in the tab it opens in.
export class Visitor {
  constructor(page) {
    this.page = page;
  }

  async continues() {
    await this.page.getByRole("button", { name: /^Continue to/ }).click();
    await this.page.getByRole("heading", { name: /^Share your accounts/ }).waitFor();
  }

  async agrees() {
    await this.page.getByRole("button", { name: "Agree" }).click();
    await this.page.waitForURL(/\/oauth\/[^/]+\/callback/);
  }

  async declines() {
    await this.page.getByRole("button", { name: "Decline" }).click();
    await this.page.waitForURL(/\/oauth\/[^/]+\/callback/);
  }

  heading() {
    return this.page.getByRole("heading", { level: 1 }).textContent();
  }
}

// The ready journeys: the documents of this project, in the order a person goes, each with the variables it can be run with.
import documents from "documents";
import sample from "./sample.ofx";
import { ask, notice, refreshToken, who } from "./session.js";
import { watched } from "./watched.js";

const ORDER = ["sign-in", "link", "sync", "accounts-with-transactions", "page-on", "import", "refresh", "revoke"];

// What answers have told so far: the link to sync, and the account to page on in, with where its last page ended.
export const learned = watched({});

// What each journey is run with. A placeholder ends in an ellipsis: an earlier journey brings what belongs there.
const VARIABLES = {
  "sign-in": () => ({ email: who.get()?.email ?? "you@example.com", password: "" }),
  link: () => ({ provider: "sandbox" }),
  sync: ({ linkId = "link_…" }) => ({ linkId, force: true }),
  "accounts-with-transactions": () => ({ accounts: 10, transactions: 20 }),
  "page-on": ({ accountId = "acct_…", after }) => ({ accountId, after }),
  import: () => ({ filename: "sample.ofx", content: sample }),
  refresh: () => ({ refreshToken: refreshToken() }),
  revoke: () => ({ sessionId: who.get()?.id ?? "session_…" }),
};

// A document's comment is as wide as the repository's lines; an editor is not, and a phone's less so.
const COMMENT_WIDTH = innerWidth < 704 ? 32 : 40;

export const journeys = Object.keys(documents)
  .sort((one, other) => place(one) - place(other))
  .map((name) => {
    const lines = documents[name].split("\n");
    const comment = lines.slice(0, lines.findIndex((line) => !line.startsWith("#")));
    const paragraphs = comment.map((line) => line.replace(/^# ?/, "")).join("\n").split("\n\n").map((text) => text.replaceAll("\n", " "));
    const [about] = paragraphs[0].split(/(?<=\.)\s/);
    const operation = lines.slice(comment.length).join("\n");
    return {
      name,
      title: (name[0].toUpperCase() + name.slice(1)).replaceAll("-", " "),
      about,
      operationName: /^(?:query|mutation|subscription)\s+(\w+)/.exec(operation)?.[1] ?? name,
      query: `${paragraphs.map(narrow).join("\n#\n")}\n${operation}`,
      variables: () => (VARIABLES[name] ? JSON.stringify(VARIABLES[name](learned.get()), null, 2) : ""),
    };
  });

// A document that is in no order yet comes last.
function place(name) {
  return ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length;
}

function narrow(text) {
  const lines = ["#"];
  for (const word of text.split(" ")) {
    if (lines.at(-1).length + 1 + word.length > COMMENT_WIDTH) lines.push("#");
    lines.push(`${lines.pop()} ${word}`);
  }
  return lines.join("\n");
}

// Reads from an answer what later journeys are run with. Ids tell by their prefix what they are of.
export function learn({ variables }, { data }) {
  const found = { ...learned.get() };
  const paged = data?.account?.transactions?.pageInfo;
  if (paged && variables?.accountId) found.after = paged.hasNextPage ? paged.endCursor : undefined;
  const accounts = [];
  for (const { id, status, provider, transactions } of objectsIn(data)) {
    if (typeof id !== "string") continue;
    if (id.startsWith("link_") && status !== "FAILED" && provider?.linkMethod !== "FILE") found.linkId = id;
    if (id.startsWith("acct_") && transactions?.pageInfo) accounts.push({ id, ...transactions.pageInfo });
  }
  const account = accounts.find(({ hasNextPage }) => hasNextPage) ?? accounts[0];
  if (account) Object.assign(found, { accountId: account.id, after: account.hasNextPage ? account.endCursor : undefined });
  learned.set(found);
}

function* objectsIn(value) {
  if (value === null || typeof value !== "object") return;
  yield value;
  for (const inner of Object.values(value)) yield* objectsIn(inner);
}

const HAS_ALREADY = `{
  viewer {
    links(first: 20) { nodes { id status provider { linkMethod } } }
    accounts(first: 20) { nodes { id transactions(first: 20) { pageInfo { hasNextPage endCursor } } } }
  }
}`;

async function lookAround() {
  const request = { query: HAS_ALREADY };
  learn(request, await ask(request));
}

// What one user's journeys are run with is nothing to the next.
who.watch(() => {
  learned.set({});
  if (who.get()) lookAround().catch((failure) => notice.set(failure.message));
});

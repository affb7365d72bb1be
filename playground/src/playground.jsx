// The page: who is signed in, the ready journeys, and GraphiQL.
import { DOC_EXPLORER_PLUGIN, DocExplorerContextProvider } from "@graphiql/plugin-doc-explorer";
import { HISTORY_PLUGIN, HistoryContextProvider } from "@graphiql/plugin-history";
import { GraphiQLProvider, useEditorContext } from "@graphiql/react";
import { GraphiQL, GraphiQLInterface } from "graphiql";
import { Account } from "./account.jsx";
import { answerIn, consentPage, hint } from "./answers.js";
import { JourneyList } from "./journey-list.jsx";
import { journeys, learn } from "./journeys.js";
import { memory } from "./memory.js";
import { ask, notice, who } from "./session.js";
import { THEMES, choose, theme } from "./theme.js";
import { useWatched, watched } from "./watched.js";

const PLUGINS = [DOC_EXPLORER_PLUGIN, HISTORY_PLUGIN];
const TABS = journeys.map(({ query, variables }) => ({ query, variables: variables() }));
const NEW_TAB = "# Write a query here; Ctrl-Space shows what there is.\n{\n  viewer {\n    email\n  }\n}\n";

async function fetcher({ operationName, ...request }, { headers } = {}) {
  // A moment after a tab was opened, GraphiQL still names the operation of the one before.
  if (operationName && request.query.includes(operationName)) request.operationName = operationName;
  const answer = await ask(request, headers);
  if (operationName !== "IntrospectionQuery") learn(request, answer);
  return answer;
}

// Whether this server lets people open an account.
const canRegister = watched(false);
const onSchemaChange = (schema) => canRegister.set(Boolean(schema.getMutationType()?.getFields().registerUser));

export function Playground() {
  const chosen = useWatched(theme);
  return (
    <GraphiQLProvider
      fetcher={fetcher}
      storage={memory}
      plugins={PLUGINS}
      referencePlugin={DOC_EXPLORER_PLUGIN}
      defaultTabs={TABS}
      defaultQuery={NEW_TAB}
      shouldPersistHeaders={false}
      onSchemaChange={onSchemaChange}
    >
      <HistoryContextProvider>
        <DocExplorerContextProvider>
          <header className="bar">
            <h1>
              Dashtam <span>playground</span>
            </h1>
            <Theme chosen={chosen} />
            <Account canRegister={useWatched(canRegister)} />
            <Notice />
          </header>
          <main className="desk">
            <JourneyList />
            <GraphiQLInterface forcedTheme={chosen} defaultEditorToolsVisibility="variables">
              <GraphiQL.Logo> </GraphiQL.Logo>
              <GraphiQL.Footer>
                <Onward />
              </GraphiQL.Footer>
            </GraphiQLInterface>
          </main>
        </DocExplorerContextProvider>
      </HistoryContextProvider>
    </GraphiQLProvider>
  );
}

function Theme({ chosen }) {
  return (
    <label className="theme">
      <span className="unseen">Theme</span>
      <select value={chosen} onChange={({ target }) => choose(target.value)}>
        {THEMES.map((name) => (
          <option key={name} value={name}>
            {name[0].toUpperCase() + name.slice(1)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Notice() {
  const text = useWatched(notice);
  return (
    <p className="notice" role="status">
      {text}
    </p>
  );
}

// What can be done about the active tab's answer.
function Onward() {
  const { tabs, activeTabIndex } = useEditorContext({ nonNull: true });
  const user = useWatched(who);
  const tab = tabs[activeTabIndex];
  const answer = answerIn(tab);
  const consent = consentPage(answer);
  const advice = hint(answer, user !== null);
  return (
    <div className="onward" role="status">
      {consent && (
        <p>
          <a href={consent} target="_blank" rel="noopener noreferrer">
            Open the bank’s consent page
          </a>
          <span>It opens in a new tab. Agree there, come back, and go on with “Sync”.</span>
        </p>
      )}
      {advice && <p>{advice}</p>}
      {!tab.response && <p>{user ? "" : "Sign in above to begin. "}Press ▶ or Ctrl-Enter, and the answer appears here.</p>}
    </div>
  );
}

// The ready journeys in order. Each is a tab; a closed one opens anew.
import { useEditorContext } from "@graphiql/react";
import { useEffect, useRef } from "react";
import { journeys, learned } from "./journeys.js";
import { who } from "./session.js";
import { useWatched } from "./watched.js";

export function JourneyList() {
  const { tabs, activeTabIndex } = useEditorContext({ nonNull: true });
  const open = useOpen();
  useReadyVariables();
  useWrappedLines();
  useEffect(() => {
    document.getElementById(`graphiql-session-tab-${activeTabIndex}`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [activeTabIndex]);
  const { operationName } = tabs[activeTabIndex];
  return (
    <nav className="journeys" aria-labelledby="journeys">
      <h2 id="journeys">Journeys</h2>
      <p>Run them in order: each fills in what the next one needs.</p>
      <ol>
        {journeys.map((journey) => (
          <li key={journey.name}>
            <button type="button" aria-current={journey.operationName === operationName ? "step" : undefined} onClick={() => open(journey)}>
              <strong>{journey.title}</strong>
              <span>{journey.about}</span>
            </button>
          </li>
        ))}
      </ol>
      <p>
        Rather without GraphiQL? There is a <a href="/playground/plain">plain page</a>.
      </p>
    </nav>
  );
}

// Shows a journey's tab, or gives it one.
export function useOpen() {
  const { tabs, activeTabIndex, changeTab, addTab, queryEditor } = useEditorContext({ nonNull: true });
  const awaited = useRef(null);
  useEffect(() => {
    if (!awaited.current) return;
    queryEditor.setValue(awaited.current.query);
    awaited.current = null;
  }, [activeTabIndex, queryEditor]);
  return (journey) => {
    const index = tabs.findIndex(({ operationName }) => operationName === journey.operationName);
    if (index >= 0) return changeTab(index);
    awaited.current = journey;
    addTab();
  };
}

// Keeps the active journey's variables as ready as answers allow, unless the person has changed them.
function useReadyVariables() {
  const { tabs, activeTabIndex, variableEditor } = useEditorContext({ nonNull: true });
  const known = useWatched(learned);
  const user = useWatched(who);
  const filled = useRef(new Map());
  const { id, operationName } = tabs[activeTabIndex];
  useEffect(() => {
    const journey = journeys.find((journey) => journey.operationName === operationName);
    if (!variableEditor || !journey) return;
    const shown = variableEditor.getValue();
    const ready = journey.variables();
    const isUntouched = shown.trim() === "" || shown === (filled.current.get(id) ?? tabs[activeTabIndex].variables);
    if (!isUntouched) return;
    filled.current.set(id, ready);
    if (shown !== ready) variableEditor.setValue(ready);
  }, [variableEditor, id, operationName, known, user]);
}

// Ids, cursors and a statement's text are longer than an editor is wide.
function useWrappedLines() {
  const { queryEditor, variableEditor } = useEditorContext({ nonNull: true });
  useEffect(() => {
    for (const editor of [queryEditor, variableEditor]) editor?.setOption("lineWrapping", true);
  }, [queryEditor, variableEditor]);
}

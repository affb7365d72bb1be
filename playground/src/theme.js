// Light, dark, or as the system has it. The choice is the one thing this page keeps between visits.
import { watched } from "./watched.js";

const KEY = "dashtam:theme";
export const THEMES = ["system", "light", "dark"];

export const theme = watched(kept());

function kept() {
  const found = localStorage.getItem(KEY);
  return THEMES.includes(found) ? found : "system";
}

export function choose(next) {
  if (next === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, next);
  theme.set(next);
}

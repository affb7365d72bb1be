// The storage GraphiQL is given in place of the browser's: tabs, variables and history hold passwords and tokens, so they go with the page.

const kept = new Map();

export const memory = {
  get length() {
    return kept.size;
  },
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => void kept.set(key, value),
  removeItem: (key) => void kept.delete(key),
  clear: () => kept.clear(),
};

// A value that components watch.
import { useSyncExternalStore } from "react";

export function watched(value) {
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const watcher of watchers) watcher();
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}

export function useWatched(source) {
  return useSyncExternalStore(source.watch, source.get);
}

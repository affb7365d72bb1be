// Stands in for react-remove-scroll: renders its child, or itself as `as`, and leaves scrolling alone.
export function RemoveScroll({ as: Element = "div", allowPinchZoom, shards, enabled, noIsolation, removeScrollBar, inert, gapMode, ...rest }) {
  return <Element {...rest} />;
}

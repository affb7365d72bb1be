// Where the browser lands after the bank. This tab has no tokens, so it hands what it was told to the tab that began.

import { BACK_FROM_BANK } from './channel'

new BroadcastChannel(BACK_FROM_BANK).postMessage(Object.fromEntries(new URLSearchParams(location.search)))

// A state and a code may stand in the address; neither the history nor a bookmark should keep them.
history.replaceState(null, '', location.pathname)

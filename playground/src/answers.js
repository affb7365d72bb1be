// What a person can do about an answer.

// The answer a tab shows; a tab that was not run, or shows no JSON, has an empty one.
export function answerIn({ response }) {
  try {
    return JSON.parse(response) ?? {};
  } catch {
    return {};
  }
}

// The address at which a bank asks for consent, when the answer holds one. Only http and https are ever made clickable.
export function consentPage({ data }) {
  const found = Object.values(data ?? {}).find((payload) => typeof payload?.authorizationUrl === "string");
  if (!found || !URL.canParse(found.authorizationUrl)) return null;
  const url = new URL(found.authorizationUrl);
  return ["https:", "http:"].includes(url.protocol) ? url.href : null;
}

const HINTS = {
  UNAUTHENTICATED: "This is for signed-in users: sign in above, then run it again.",
  FORBIDDEN: "Your role does not allow this.",
  RATE_LIMITED: "Too many requests: wait a little.",
  UNAVAILABLE: "The server is busy: try again in a moment.",
};

// One sentence about the first problem that has a remedy, or "".
export function hint({ data, errors }, isSignedIn) {
  const codes = Array.isArray(errors) ? errors.map(({ extensions }) => extensions?.code) : [];
  const known = codes.find((code) => code in HINTS);
  if (known) return isSignedIn && known === "UNAUTHENTICATED" ? "You are signed in now: run it again." : HINTS[known];
  if (data?.createSession?.challenge && !isSignedIn) return "This account has a second factor: sign in above, where its code is asked for, or run verifySecondFactor.";
  return data?.viewer === null && !isSignedIn ? "Nobody is signed in, so there is no viewer: sign in above, then run it again." : "";
}

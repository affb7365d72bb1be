// One request to the graph, and what to tell a person when there is no answer.

export async function post(request, accessToken, { headers, keepalive } = {}) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json, application/json;q=0.9",
      ...(accessToken && { Authorization: `Bearer ${accessToken}` }),
      ...headers,
    },
    body: JSON.stringify(request),
    credentials: "omit",
    cache: "no-store",
    keepalive,
  }).catch(() => {
    throw new Error("The server cannot be reached. Is it still running?");
  });
  const text = await response.text();
  try {
    return { json: JSON.parse(text), status: response.status, traceId: response.headers.get("X-Trace-Id") };
  } catch {
    throw new Error(`The server answered with status ${response.status}, and not in JSON.`);
  }
}

// The payload of a mutation with one `input`, or an error whose message may be shown; `refused`, the codes of the server's no, tells it
// from a fault.
export async function mutate(query, input, accessToken) {
  const { json, status, traceId } = await post({ query, variables: { input } }, accessToken);
  const [payload] = Object.values(json.data ?? {});
  if (!payload) {
    const reason = json.errors?.[0]?.message ?? json.detail ?? `The server answered with status ${status}.`;
    throw new Error(traceId ? `${reason} (trace ${traceId})` : reason);
  }
  if (payload.userErrors.length) {
    throw Object.assign(new Error(payload.userErrors.map(({ message }) => message).join(" ")), { refused: payload.userErrors.map(({ code }) => code) });
  }
  return payload;
}

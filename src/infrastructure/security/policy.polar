# Who may do what. One rule a line: scope(role, action, resource, reach).
#
# The reach is "own" (what belongs to the one who asks) or "any" (everyone's). What no rule grants is refused.
# Money is "own" for every role, admins included: nobody administers other people's money.

# Whoever has a reach may act within it.
allow(role, action, resource) if scope(role, action, resource, _reach);

# Everyone who is signed in reads what is theirs.
scope(_role, "read", "accounts", "own");
scope(_role, "read", "transactions", "own");
scope(_role, "read", "links", "own");
scope(_role, "read", "changes", "own");
scope(_role, "read", "sessions", "own");
scope(_role, "read", "users", "own");
scope(_role, "read", "security", "own");
scope(_role, "read", "providers", "any");
scope(_role, "read", "audit", "own");

# Ending one's own sessions and changing one's password are rights of identity, whatever the role.
scope(_role, "write", "sessions", "own");
scope(_role, "write", "security", "own");

# So are one's name, one's consents, taking everything along, and being forgotten.
scope(_role, "read", "profile", "own");
scope(_role, "write", "profile", "own");

# Linking, syncing, importing and correcting need more than reading.
scope(role, "write", "links", "own") if edits(role);
scope(role, "write", "accounts", "own") if edits(role);
scope(role, "write", "transactions", "own") if edits(role);

edits("user");
edits("admin");

# Administration: identities and security, never money.
scope("admin", "read", "users", "any");
scope("admin", "write", "users", "any");
scope("admin", "read", "sessions", "any");
scope("admin", "write", "sessions", "any");
scope("admin", "read", "audit", "any");
scope("admin", "read", "security", "any");
scope("admin", "write", "security", "any");

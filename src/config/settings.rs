//! Every setting once: its name, what it looks like, its default, and why one would change it.
//!
//! From this table come the reference page, the example file and the hint at a name that was meant. A test holds it against
//! [`Config`](super::Config) in both directions, so that no setting is in one of them alone.

/// Something that can be set.
pub struct Setting {
    /// Sections and name with dots: `jwt.secret` is `secret` in `[jwt]`.
    pub name: &'static str,
    /// What it looks like.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub preset: Preset,
    /// What it is for.
    pub about: &'static str,
}

/// What a setting looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An IP address with its port.
    SocketAddress,
    /// A URL.
    Url,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
    /// Texts; in a variable separated by commas.
    List,
    /// Text.
    Text,
    /// Text nobody else may see. It can come from a file, and no message repeats it.
    Secret,
}

/// What a setting is when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// This, as TOML.
    Default(&'static str),
    /// Nothing; one looks like this, as TOML.
    Unset(&'static str),
}

/// Everything that can be set, in the order people read it: sections after what stands outside of them.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "environment",
        kind: Kind::Word(&["production", "development"]),
        preset: Preset::Default("\"production\""),
        about: "Where it runs. Production never makes up keys and does not start without a mail server; development has the sandbox bank, makes up keys for \
                the embedded database, and keeps mails in the data folder.",
    },
    Setting {
        name: "bind",
        kind: Kind::SocketAddress,
        preset: Preset::Default("\"127.0.0.1:8080\""),
        about: "The address to listen on. The default is reached from this machine only; `0.0.0.0:8080` is reached from everywhere, so put TLS in front of it.",
    },
    Setting {
        name: "public_url",
        kind: Kind::Url,
        preset: Preset::Unset("\"https://money.example.com\""),
        about: "How browsers reach this server: scheme, host and perhaps a port. Banks send people back to it, mails lead to it, and access \
                tokens name it as their issuer. Made from `bind` when it is not set, which serves on this machine only.",
    },
    Setting {
        name: "trusted_proxies",
        kind: Kind::List,
        preset: Preset::Default("[]"),
        about: "The proxies in front of this server, as addresses or networks such as `10.0.0.0/8`. From them alone `X-Forwarded-For` is believed; without \
                any, everyone behind a proxy seems to come from the proxy, and shares its limits.",
    },
    Setting {
        name: "data_dir",
        kind: Kind::Folder,
        preset: Preset::Default("\"dashtam-data\""),
        about: "Where the embedded database, made-up keys and the sandbox bank's state are kept. With PostgreSQL and keys of your own it stays empty.",
    },
    Setting {
        name: "database_url",
        kind: Kind::Secret,
        preset: Preset::Unset("\"postgres://dashtam:password@db.example/dashtam\""),
        about: "PostgreSQL 15 or later. When it is not set, the embedded database (SQLite) in the data folder: one file and one process. The variable \
                `DATABASE_URL` is read too, and `DASHTAM_DATABASE_URL` wins over it.",
    },
    Setting {
        name: "redis_url",
        kind: Kind::Secret,
        preset: Preset::Unset("\"redis://:password@redis.example:6379\""),
        about: "Redis 6.2 or later, for several servers: what one ends, the others hear at once. `rediss://` speaks TLS. Nothing is kept there \
                that matters, and a server goes on without it when it is away. When it is not set, PostgreSQL carries what servers tell each other.",
    },
    Setting {
        name: "redis_prefix",
        kind: Kind::Text,
        preset: Preset::Default("\"dashtam\""),
        about: "What every key and channel in Redis begins with: servers of one deployment share it, and deployments that share a Redis have different ones.",
    },
    Setting {
        name: "log",
        kind: Kind::Text,
        preset: Preset::Unset("\"info\""),
        about: "What is logged to standard error: a level (`error`, `warn`, `info`, `debug`, `trace`) or a filter such as `warn,dashtam=debug`. When it is not \
                set, `info`, and for a demo `warn`. Production logs JSON, a line each.",
    },
    Setting {
        name: "jwt.secret",
        kind: Kind::Secret,
        preset: Preset::Unset("\"made once with: openssl rand -base64 48\""),
        about: "Signs access tokens and derives refresh tokens: 32 bytes of text or more. Who has it can sign in as anyone; who changes it signs everyone out, \
                unless the old one becomes `previous`.",
    },
    Setting {
        name: "jwt.previous",
        kind: Kind::Secret,
        preset: Preset::Unset("\"the secret that was in use until now\""),
        about: "The secrets before it, still accepted, the latest first, separated by commas (so that no secret may hold one). Set it while you change \
                `secret`, and take each away after seven days, when the last refresh token it made is over; `dashtam keys status` says when.",
    },
    Setting {
        name: "encryption.keys",
        kind: Kind::Secret,
        preset: Preset::Unset("\"k1:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\""),
        about: "The ring that seals what banks hand out: `id:base64 of 32 bytes`, separated by commas. The first seals, all open, so a new key goes in front \
                and the old one stays until `dashtam keys status` says that nothing needs it. What a lost key sealed is lost. Make one with `openssl rand -base64 32`; the one shown here is no secret.",
    },
    Setting {
        name: "keys.wait_seconds",
        kind: Kind::Number,
        preset: Preset::Default("120"),
        about: "How many seconds a new key from a file is accepted before it is used, 0 to 3600: at least as long as it takes until every server has the \
                file. Kubernetes needs about two minutes for that.",
    },
    Setting {
        name: "smtp.url",
        kind: Kind::Secret,
        preset: Preset::Unset("\"smtp://user:password@mail.example.com:587?tls=required\""),
        about: "The server mails leave through: `smtps://` for TLS from the first byte (port 465), `smtp://` with `?tls=required` for STARTTLS (port 587), \
                plain `smtp://` for a relay on this machine. Needed in production. In development mails are kept in the data folder when it is not set.",
    },
    Setting {
        name: "smtp.from",
        kind: Kind::Text,
        preset: Preset::Default("\"Dashtam <dashtam@localhost>\""),
        about: "Whom mails come from: an address, with a name if you like. Production wants one of yours as soon as `url` is set, since no mail server takes \
                the default.",
    },
    Setting {
        name: "passwords.cost",
        kind: Kind::Number,
        preset: Preset::Default("12"),
        about: "bcrypt's cost, 10 to 16, in development from 4. Each step doubles the time of a sign-in and of a guess; 12 takes about a fifth of a second. \
                Passwords that are stored keep the cost they were made with.",
    },
    Setting {
        name: "registration.enabled",
        kind: Kind::Switch,
        preset: Preset::Default("true"),
        about: "Whether anyone may register. When it is off, `dashtam user create` makes users.",
    },
    Setting {
        name: "legal.terms_version",
        kind: Kind::Text,
        preset: Preset::Unset("\"2026-11\""),
        about: "What you call the version of your terms of service that is in force. With it, whoever registers has to agree to it, which is kept on record; \
                after a change, people are asked again by your frontend. Goes with `terms_url`.",
    },
    Setting { name: "legal.terms_url", kind: Kind::Url, preset: Preset::Unset("\"https://money.example.com/terms\""), about: "Where the terms can be read." },
    Setting {
        name: "legal.privacy_version",
        kind: Kind::Text,
        preset: Preset::Unset("\"3\""),
        about: "The same for your privacy notice. Goes with `privacy_url`.",
    },
    Setting {
        name: "legal.privacy_url",
        kind: Kind::Url,
        preset: Preset::Unset("\"https://money.example.com/privacy\""),
        about: "Where the privacy notice can be read.",
    },
    Setting {
        name: "rate_limits.enabled",
        kind: Kind::Switch,
        preset: Preset::Default("true"),
        about: "Whether requests are limited. Off is for load tests and for tests that sign in often.",
    },
    Setting {
        name: "rate_limits.sign_in",
        kind: Kind::Text,
        preset: Preset::Default("\"5/5\""),
        about: "Signing in, for each address: how often at once, and how many come back a minute. IPv6 counts by /64, here and below.",
    },
    Setting { name: "rate_limits.register", kind: Kind::Text, preset: Preset::Default("\"3/3\""), about: "Registering, for each address." },
    Setting {
        name: "rate_limits.mail",
        kind: Kind::Text,
        preset: Preset::Default("\"3/1\""),
        about: "Asking for mails that confirm an address or reset a password, for each address.",
    },
    Setting {
        name: "rate_limits.refresh",
        kind: Kind::Text,
        preset: Preset::Default("\"10/10\""),
        about: "Renewing tokens, for each session; with a token of no session, for each address.",
    },
    Setting { name: "rate_limits.link", kind: Kind::Text, preset: Preset::Default("\"5/5\""), about: "Linking, for each user." },
    Setting { name: "rate_limits.sync", kind: Kind::Text, preset: Preset::Default("\"10/5\""), about: "Asking for a sync, for each user and provider." },
    Setting {
        name: "rate_limits.query",
        kind: Kind::Text,
        preset: Preset::Default("\"5000/5000\""),
        about: "Points of what documents cost, for each user; for each address while nobody is signed in. A tenth of a point for each object an answer can hold, and some more.",
    },
    Setting {
        name: "rate_limits.write",
        kind: Kind::Text,
        preset: Preset::Default("\"50/50\""),
        about: "Everything else that changes something, for each user; for each address while nobody is signed in.",
    },
    Setting { name: "rate_limits.subscription", kind: Kind::Text, preset: Preset::Default("\"10/5\""), about: "Subscribing, for each user." },
    Setting {
        name: "links.return_urls",
        kind: Kind::List,
        preset: Preset::Default("[]"),
        about: "Where frontends may have browsers sent back to after a bank: what a `returnUrl` must begin with, an origin or an origin with a path. Without \
                any, the walk ends on a page of ours.",
    },
    Setting {
        name: "payloads.keep_days",
        kind: Kind::Number,
        preset: Preset::Default("30"),
        about: "How many days what providers answered is kept, sealed and without card and account numbers, so that `dashtam remap` can map it once more after an \
                update. 0 keeps nothing, 3650 is the most.",
    },
    Setting {
        name: "sync.scheduled",
        kind: Kind::Switch,
        preset: Preset::Default("true"),
        about: "Whether links are synced by themselves: four times while their provider's data counts as fresh, which is every six hours for most. When it is \
                off, links are synced when they are linked and when somebody asks. Whoever runs a worker decides for the links it works on.",
    },
    Setting {
        name: "sync.interval_percent",
        kind: Kind::Number,
        preset: Preset::Default("100"),
        about: "How long a link rests between two such syncs, in per cent of what suits its provider, 50 to 1000: with 200, half as often. What a provider \
                bears is never exceeded, whatever this is.",
    },
    Setting {
        name: "sync.at_once",
        kind: Kind::Number,
        preset: Preset::Default("4"),
        about: "How many syncs a worker runs at once, of different links, 1 to 64: a bank that takes its time holds up no other. Each keeps what it fetches in \
                memory until it is stored.",
    },
    Setting {
        name: "audit.checkpoints",
        kind: Kind::File,
        preset: Preset::Unset("\"/mnt/append-only/dashtam-checkpoints.jsonl\""),
        about: "A file that each checkpoint of the audit trail is appended to, a line of JSON each. Keep it where who has the database cannot change it: with \
                it `dashtam audit verify --checkpoint` also finds a trail that was cut off at its end, or rewritten by somebody who has the keys. The log has \
                the same lines.",
    },
    Setting {
        name: "audit.retention_days",
        kind: Kind::Number,
        preset: Preset::Default("2557"),
        about: "How many days the audit trail is kept: seven years by default, 365 at least. Whole months go, once each of their days is older than that.",
    },
    Setting {
        name: "audit.routine_retention_days",
        kind: Kind::Number,
        preset: Preset::Unset("400"),
        about: "How many days routine events of the audit trail are kept, if not as long as the others: sessions that were refreshed and links that were \
                brought up to date, each with how it began. 365 at least, and no more than `audit.retention_days`. What failed is never routine.",
    },
    Setting {
        name: "playground.enabled",
        kind: Kind::Switch,
        preset: Preset::Default("true"),
        about: "Whether `/playground` is served. It holds nothing but the page: everything behind it asks for a token all the same.",
    },
    Setting {
        name: "documents.manifest",
        kind: Kind::File,
        preset: Preset::Unset("\"/etc/dashtam/persisted-documents.json\""),
        about: "A file of trusted documents, as GraphQL Code Generator, Relay or Apollo's `generate-persisted-query-manifest` writes it. Clients ask for them \
                by their ids; one that can never run stops the start.",
    },
    Setting {
        name: "documents.mode",
        kind: Kind::Word(&["off", "prefer", "strict"]),
        preset: Preset::Default("\"prefer\""),
        about: "What becomes of documents that are not in the manifest: `strict` runs none of them, `prefer` runs them too, and `off` does not look at the \
                manifest at all. With `strict` the playground can run nothing but those either.",
    },
    Setting {
        name: "metrics.bind",
        kind: Kind::SocketAddress,
        preset: Preset::Unset("\"127.0.0.1:9464\""),
        about: "Where `GET /metrics` is answered, for Prometheus: an address of its own, which is not for everyone. Nowhere when it is not set. Each process \
                has its own numbers, so a worker on the same machine needs another port.",
    },
    Setting {
        name: "limits.body_bytes",
        kind: Kind::Number,
        preset: Preset::Default("1048576"),
        about: "How many bytes a body may have at `/graphql`. Statement files go to `/imports`, which takes 50 MiB.",
    },
    Setting { name: "limits.document_bytes", kind: Kind::Number, preset: Preset::Default("100000"), about: "How many bytes a GraphQL document may have." },
    Setting { name: "limits.depth", kind: Kind::Number, preset: Preset::Default("15"), about: "How deep fields may nest, 30 at most." },
    Setting {
        name: "limits.fields",
        kind: Kind::Number,
        preset: Preset::Default("5000"),
        about: "How many fields a document may have, those of fragments as often as they are spread.",
    },
    Setting { name: "limits.aliases", kind: Kind::Number, preset: Preset::Default("100"), about: "How many fields of a document may have an alias." },
    Setting { name: "limits.directives", kind: Kind::Number, preset: Preset::Default("50"), about: "How many directives a document may have." },
    Setting { name: "limits.errors", kind: Kind::Number, preset: Preset::Default("20"), about: "How many errors an answer carries; the others are left out." },
    Setting {
        name: "limits.request_seconds",
        kind: Kind::Number,
        preset: Preset::Default("30"),
        about: "How many seconds a request may take, its body included. Uploads and exports have ten minutes.",
    },
    Setting {
        name: "limits.header_bytes",
        kind: Kind::Number,
        preset: Preset::Default("16384"),
        about: "How many bytes a request's header may have, its address included.",
    },
    Setting { name: "limits.header_seconds", kind: Kind::Number, preset: Preset::Default("10"), about: "How many seconds a request's header may take." },
    Setting {
        name: "limits.idle_seconds",
        kind: Kind::Number,
        preset: Preset::Default("75"),
        about: "How many seconds a connection is kept without a request: longer than a proxy in front keeps it, or a request may meet a connection that is just being closed.",
    },
    Setting {
        name: "limits.connections",
        kind: Kind::Number,
        preset: Preset::Default("1024"),
        about: "How many connections are served at once; others wait until one is closed.",
    },
    Setting {
        name: "cors.origins",
        kind: Kind::List,
        preset: Preset::Default("[]"),
        about: "The origins of frontends that browsers may show answers to, such as `https://app.example.com`; each exactly, with no path and no `*`. Without any, pages of other origins can read nothing.",
    },
    Setting {
        name: "providers.alpaca.base_url",
        kind: Kind::Url,
        preset: Preset::Unset("\"https://paper-api.alpaca.markets\""),
        about: "Where Alpaca's API is reached for everybody's keys. When it is not set, each key is tried where it belongs: at api.alpaca.markets, or at \
                paper-api.alpaca.markets for keys of paper accounts.",
    },
    Setting {
        name: "providers.schwab.base_url",
        kind: Kind::Url,
        preset: Preset::Unset("\"https://api.schwabapi.com\""),
        about: "Where Schwab's API is reached; at api.schwabapi.com when it is not set.",
    },
    Setting {
        name: "providers.schwab.client_id",
        kind: Kind::Text,
        preset: Preset::Unset("\"the app key\""),
        about: "What Schwab calls this server: the app key of the app that you register at developer.schwab.com. Without it and the secret, Schwab cannot be \
                linked here.",
    },
    Setting { name: "providers.schwab.client_secret", kind: Kind::Secret, preset: Preset::Unset("\"the app's secret\""), about: "The secret of that app." },
    Setting {
        name: "providers.simplefin.hosts",
        kind: Kind::List,
        preset: Preset::Default("[\"bridge.simplefin.org\", \"beta-bridge.simplefin.org\"]"),
        about: "The SimpleFIN servers whose setup tokens are taken. A token names the server it is for, so one that names another is refused before anything is \
                asked there. Each is a host name, with a port where it is not 443.",
    },
    Setting {
        name: "sandbox.seed",
        kind: Kind::Number,
        preset: Preset::Default("7"),
        about: "What the sandbox bank is made up from: the same seed makes the same accounts and transactions. A data folder keeps the seed of its bank, and \
                another one is refused there. Development only.",
    },
];

/// How alike two names are, from 0 to 1, for one to be taken for the other.
const ALIKE: f64 = 0.7;

impl Setting {
    /// The setting of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its variable: `DASHTAM_JWT__SECRET`.
    pub fn variable(&self) -> String {
        variable(self.name)
    }

    /// Its value as TOML, or what one looks like.
    pub fn sample(&self) -> &'static str {
        match self.preset {
            Preset::Default(toml) | Preset::Unset(toml) => toml,
        }
    }

    /// Whether nobody else may see it.
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// Whether it is taken as text whatever it looks like, such as a folder called `2026`.
    pub(super) fn is_text(&self) -> bool {
        !matches!(self.kind, Kind::Number | Kind::Switch | Kind::List)
    }
}

impl Kind {
    /// In a reader's words.
    pub fn described(self) -> String {
        match self {
            Self::SocketAddress => "an IP address with its port".to_owned(),
            Self::Url => "a URL".to_owned(),
            Self::Word(words) => words.join(" or "),
            Self::Folder => "a folder".to_owned(),
            Self::File => "a file".to_owned(),
            Self::Number => "a whole number".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::List => "a list of texts".to_owned(),
            Self::Text | Self::Secret => "text".to_owned(),
        }
    }
}

/// The variable of a setting.
pub(super) fn variable(name: &str) -> String {
    format!("DASHTAM_{}", name.replace('.', "__").to_ascii_uppercase())
}

/// The name that was probably meant: the one most like it, or the same in another section.
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let alike = |known: &str| {
        let elsewhere = known.split_once('.').is_some_and(|(_, rest)| rest == name);
        if elsewhere { ALIKE } else { strsim::normalized_damerau_levenshtein(known, &name.replace('-', "_")) }
    };
    let names = SETTINGS.iter().map(|setting| setting.name);
    let best = names.map(|known| (known, alike(known))).max_by(|(_, left), (_, right)| left.total_cmp(right));
    best.filter(|(_, alike)| *alike >= ALIKE).map(|(known, _)| known)
}

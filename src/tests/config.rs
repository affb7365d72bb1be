//! Configuration: what is read from where, and what is refused by name.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{net::SocketAddr, path::Path};

use dashtam::config::{
    Config, Environment,
    settings::{Preset, SETTINGS},
};
use secrecy::ExposeSecret as _;

fn pairs<'a>(environment: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (String, String)> + 'a {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

fn read(environment: &[(&str, &str)]) -> Config {
    Config::read(None, pairs(environment)).unwrap()
}

fn refusal(environment: &[(&str, &str)]) -> String {
    format!("{:#}", Config::read(None, pairs(environment)).unwrap_err())
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn without_anything_set_a_server_is_for_production_and_for_this_machine() {
    let config = read(&[]);
    assert_eq!((config.environment, config.bind, config.passwords.cost), (Environment::Production, SocketAddr::from(([127, 0, 0, 1], 8080)), 12));
    assert!(config.is_embedded() && config.jwt.secret.is_none() && !config.has_sandbox(config.bind));
}

#[test]
fn a_name_nobody_knows_is_refused_by_that_name_with_the_one_that_was_meant() {
    for (name, remedy) in [
        ("DASHTAM_NONSENSE", "dashtam reference configuration"),
        ("DASHTAM_JWT__SECRETS", "did you mean DASHTAM_JWT__SECRET?"),
        ("DASHTAM_JWT_SECRET", "did you mean DASHTAM_JWT__SECRET?"),
        ("DASHTAM_RETURN_URLS", "did you mean DASHTAM_LINKS__RETURN_URLS?"),
        ("DASHTAM_SMPT__URL_FILE", "did you mean DASHTAM_SMTP__URL?"),
        ("DASHTAM_BIND_FILE", "only secrets are read from files"),
        ("DASHTAM_PASSWORDS__PEPPER", "is not a setting"),
        ("DASHTAM_REDIS_URLS", "did you mean DASHTAM_REDIS_URL?"),
    ] {
        let refusal = refusal(&[(name, "a-value-canary")]);
        assert!(refusal.starts_with(name) && refusal.contains(remedy) && !refusal.contains("canary"), "{name}: {refusal}");
    }
    let both = refusal(&[("DASHTAM_NONSENSE", "1"), ("DASHTAM_BINDD", "1")]);
    assert!(both.contains("DASHTAM_NONSENSE") && both.contains("did you mean DASHTAM_BIND?"), "all of them at once: {both}");
    for (text, named) in [
        ("[sandbox]\nsed = 7\n", "did you mean sandbox.seed?"),
        ("[jwt]\nsecret_file = \"/run/secrets/jwt\"\n", "jwt.secret_file in "),
        ("jwt = \"canary\"\n", "jwt in "),
        ("[[sandbox]]\nseed = 7\n", "sandbox in "),
    ] {
        let toml = file(text);
        let refusal = format!("{:#}", Config::read(Some(toml.path()), pairs(&[])).unwrap_err());
        assert!(refusal.contains(named) && refusal.contains("is not a setting") && !refusal.contains("canary"), "{refusal}");
    }
    read(&[("PATH", "/bin"), ("DASHTAMX", "1"), ("dashtam_bind", "nonsense"), ("DASHTAM_REQUIRE_PLAYGROUND", "1")]);
}

#[test]
fn a_wrong_value_is_told_by_its_name_and_what_it_should_be_and_never_repeated() {
    for (name, wrong, expected) in [
        ("DASHTAM_BIND", "canary", "an IP address with its port, such as \"127.0.0.1:8080\""),
        ("DASHTAM_ENVIRONMENT", "canary", "production or development"),
        ("DASHTAM_PUBLIC_URL", "canary", "a URL"),
        ("DASHTAM_PASSWORDS__COST", "canary", "a whole number, such as 12"),
        ("DASHTAM_PLAYGROUND__ENABLED", "canary", "true or false"),
        ("DASHTAM_LINKS__RETURN_URLS", "{canary = 1}", "a list of texts"),
        ("DASHTAM_SMTP__URL", "https://canary@mail.example.com", "smtps://"),
        ("DASHTAM_SMTP__URL", "mail-canary", "smtps://"),
        ("DASHTAM_SMTP__FROM", "canary", "a name and an address"),
        ("DASHTAM_SMTP__FROM", "canary@example.com\r\nBcc: all@example.com", "a name and an address"),
        ("DASHTAM_SMTP__FROM", "A\r\nBcc: x <canary@example.com>", "a name and an address"),
    ] {
        let refusal = refusal(&[(name, wrong)]);
        assert!(refusal.starts_with(name) && refusal.contains(expected) && !refusal.contains("canary"), "{name}={wrong}: {refusal}");
    }
    for (text, named) in [
        ("[jwt]\nsecret = 12345678901234567890123456789012345678901234567890\n", ", line 2: "),
        ("[jwt]\nsecret = 4242424242424242\n", "jwt.secret in "),
        ("[jwt]\nsecret = \"canary\nseed = 1\n", ", line 2: "),
        ("bind = 4242424242424242\n", "bind in "),
        ("[bind]\n", "bind"),
    ] {
        let toml = file(text);
        let refusal = format!("{:#}", Config::read(Some(toml.path()), pairs(&[])).unwrap_err());
        assert!(refusal.contains(named) && !refusal.contains("canary") && !refusal.contains("42424242"), "{text}: {refusal}");
    }
}

#[test]
fn a_provider_has_a_section_of_its_own_and_an_address_that_paths_go_behind() {
    let toml = file("[providers.schwab]\nclient_id = \"a key\"\nbase_url = \"http://127.0.0.1:9/schwab\"\n");
    let config = Config::read(Some(toml.path()), pairs(&[("DASHTAM_PROVIDERS__SCHWAB__CLIENT_SECRET", "canary")])).unwrap();
    let schwab = &config.providers.schwab;
    assert_eq!((schwab.client_id.as_deref(), schwab.client_secret.as_ref().unwrap().expose_secret()), (Some("a key"), "canary"));
    assert_eq!(schwab.base_url.as_ref().unwrap().as_str(), "http://127.0.0.1:9/schwab");
    assert!(!format!("{config:?}").contains("canary"));
    assert_eq!(read(&[]).providers.simplefin.hosts, ["bridge.simplefin.org", "beta-bridge.simplefin.org"]);
    let hosts = "DASHTAM_PROVIDERS__SIMPLEFIN__HOSTS";
    assert_eq!(read(&[(hosts, "A.example, b.example:8443,c.example:443")]).providers.simplefin.hosts, ["a.example", "b.example:8443", "c.example"]);
    for wrong in ["https://x.org", "Foo.example/claim", "a.example?b", "me@a.example", "a b.example", "a.example:port", "a.example#b"] {
        let refusal = refusal(&[(hosts, &format!("a.example, {wrong}"))]);
        assert!(refusal.contains(wrong) && refusal.contains("a host name such as bridge.simplefin.org"), "{wrong}: {refusal}");
    }
    for wrong in
        ["ftp://canary.example", "https://canary@alpaca.example", "https://:canary@alpaca.example", "https://canary.example/?x", "https://canary.example/#x"]
    {
        let refusal = refusal(&[("DASHTAM_PROVIDERS__ALPACA__BASE_URL", wrong)]);
        assert!(refusal.starts_with("providers.alpaca.base_url is ") && !refusal.contains("canary"), "{wrong}: {refusal}");
    }
    let unknown = refusal(&[("DASHTAM_PROVIDERS__SCHWAB__CLIENT_IDS", "canary")]);
    assert!(unknown.contains("did you mean DASHTAM_PROVIDERS__SCHWAB__CLIENT_ID?") && !unknown.contains("canary"), "{unknown}");
}

#[test]
fn an_origin_is_exactly_one_and_a_limit_has_a_range() {
    let origins = |text: &str| read(&[("DASHTAM_CORS__ORIGINS", text)]).cors.origins().unwrap();
    assert_eq!(origins("https://app.example, http://localhost:5173"), ["https://app.example", "http://localhost:5173"]);
    assert!(read(&[]).cors.origins().unwrap().is_empty());
    for wrong in [
        "*",
        "null",
        "https://*.example",
        "app.example",
        "https://app.example/",
        "https://app.example/path",
        "https://APP.example",
        "https://a@app.example",
        "https://app.example:443",
        "ftp://app.example",
        "https://app.example,*",
    ] {
        let refusal = refusal(&[("DASHTAM_CORS__ORIGINS", wrong)]);
        assert!(refusal.starts_with("DASHTAM_CORS__ORIGINS, number ") && refusal.contains("not an origin"), "{wrong}: {refusal}");
    }
    for (name, wrong) in [("DEPTH", "31"), ("DEPTH", "0"), ("CONNECTIONS", "0"), ("HEADER_SECONDS", "0"), ("HEADER_BYTES", "100"), ("BODY_BYTES", "999999999")]
    {
        let refusal = refusal(&[(&format!("DASHTAM_LIMITS__{name}"), wrong)]);
        assert!(refusal.starts_with(&format!("limits.{} is from ", name.to_lowercase())), "{refusal}");
    }
    assert_eq!(read(&[("DASHTAM_LIMITS__DEPTH", "10")]).limits.depth, 10);
    let strict = refusal(&[("DASHTAM_DOCUMENTS__MODE", "strict")]);
    assert!(strict.starts_with("DASHTAM_DOCUMENTS__MANIFEST is not set"), "{strict}");
}

#[test]
fn redis_is_a_url_whose_password_no_message_repeats() {
    for url in ["redis://127.0.0.1", "redis://:canary@redis.example:6380/2", "rediss://ann:canary@redis.example"] {
        let config = read(&[("DASHTAM_REDIS_URL", url)]);
        assert!(config.redis_url.is_some());
        assert!(!format!("{config:?}").contains("canary"));
    }
    for url in ["", "canary", "http://canary@redis.example", "redis://", "redis:canary", "postgres://canary@x"] {
        let refusal = format!("{:#}", Config::read(None, pairs(&[("DASHTAM_REDIS_URL", url)])).unwrap_err());
        assert!(refusal.contains("redis_url") && !refusal.contains("canary"), "{url:?}: {refusal}");
    }
    for (prefix, is_good) in [("dashtam-two", true), ("a:b", true), ("", false), ("a b", false), ("ä", false)] {
        assert_eq!(Config::read(None, pairs(&[("DASHTAM_REDIS_PREFIX", prefix)])).is_ok(), is_good, "{prefix:?}");
    }
}

#[test]
fn proxies_are_addresses_and_networks() {
    let proxies = |text: &str| read(&[("DASHTAM_TRUSTED_PROXIES", text)]).proxies().unwrap();
    let written = |text: &str| proxies(text).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(written("10.0.0.0/8, 192.0.2.1,fd00::/8"), ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]);
    assert!(written("").is_empty());
    for wrong in ["proxy.internal", "10.0.0.0/33", "*", "10.0.0.0/8;10.1.0.0/16"] {
        assert!(refusal(&[("DASHTAM_TRUSTED_PROXIES", wrong)]).contains("trusted_proxies"), "{wrong}");
    }
}

#[test]
fn one_setting_has_one_place_in_the_environment() {
    let secret = file("from a file, long enough to sign with");
    let path = secret.path().to_str().unwrap();
    for order in [[("DASHTAM_JWT__SECRET", "x"), ("DASHTAM_JWT__SECRET_FILE", path)], [("DASHTAM_JWT__SECRET_FILE", path), ("DASHTAM_JWT__SECRET", "x")]] {
        let refusal = refusal(&order);
        assert!(refusal.contains("DASHTAM_JWT__SECRET and") || refusal.contains("DASHTAM_JWT__SECRET are both set"), "{refusal}");
        assert!(refusal.contains("DASHTAM_JWT__SECRET_FILE"), "{refusal}");
    }
}

#[test]
fn the_table_of_settings_and_the_configuration_have_the_same_names_and_defaults() {
    // What serde expects of each section, out of its refusal of a name that is in none.
    let expected = |section: &str| {
        let probe = if section.is_empty() { "zzz = 1".to_owned() } else { format!("[{section}]\nzzz = 1") };
        let refusal = toml::from_str::<Config>(&probe).unwrap_err().message().to_owned();
        let (_, names) = refusal.split_once("expected ").unwrap();
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let (mut fields, mut open) = (Vec::new(), expected(""));
    while let Some(field) = open.pop() {
        if toml::from_str::<Config>(&format!("[{field}]")).is_ok() {
            open.extend(expected(&field).into_iter().map(|name| format!("{field}.{name}")));
        } else {
            fields.push(field);
        }
    }
    let mut known: Vec<_> = SETTINGS.iter().map(|setting| setting.name.to_owned()).collect();
    fields.sort();
    known.sort();
    assert_eq!(known, fields);

    for setting in SETTINGS {
        let only = |toml: &str| match setting.name.split_once('.') {
            Some((section, name)) => format!("[{section}]\n{name} = {toml}\n"),
            None => format!("{} = {toml}\n", setting.name),
        };
        let config: Config = toml::from_str(&only(setting.sample())).unwrap();
        let as_default = format!("{config:?}") == format!("{:?}", Config::default());
        assert_eq!(as_default, matches!(setting.preset, Preset::Default(_)), "{}: {}", setting.name, setting.sample());
        assert!(setting.about.ends_with('.') && !setting.about.contains('|'), "{} is explained in sentences", setting.name);
        assert_eq!(setting.is_secret(), format!("{config:?}").contains("REDACTED"), "{}", setting.name);
    }
}

#[test]
fn production_has_a_mail_server_and_an_address_of_its_own_to_send_from() {
    let production = read(&[]);
    let refusal = production.mail().unwrap_err().to_string();
    assert!(refusal.contains("DASHTAM_SMTP__URL is not set"), "{refusal}");
    assert!(read(&[("DASHTAM_ENVIRONMENT", "development")]).mail().unwrap().is_none());

    let url = ("DASHTAM_SMTP__URL", "smtp://user:canary@mail.example.com:587?tls=required");
    let config = read(&[url, ("DASHTAM_SMTP__FROM", "Dashtam <money@example.com>")]);
    assert_eq!((config.mail().unwrap().unwrap().expose_secret(), config.smtp.from.as_str()), (url.1, "Dashtam <money@example.com>"));
    assert!(!format!("{config:?}").contains("canary"));
    let refusal = self::refusal(&[url]);
    assert!(refusal.contains("DASHTAM_SMTP__FROM is not set") && !refusal.contains("canary"), "{refusal}");
    read(&[url, ("DASHTAM_ENVIRONMENT", "development")]);
    for from in ["money@example.com", "Dashtam <money@example.com>", "\"Our Household, Ltd.\" <money@example.com>"] {
        read(&[("DASHTAM_SMTP__FROM", from)]);
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let toml = file("bind = \"127.0.0.1:9000\"\nenvironment = \"development\"\n[sandbox]\nseed = 5\n[links]\nreturn_urls = [\"https://a.example\"]\n");
    let config = Config::read(Some(toml.path()), pairs(&[("DASHTAM_BIND", "127.0.0.1:9001")])).unwrap();
    assert_eq!((config.bind.port(), config.environment, config.sandbox.seed, config.passwords.cost), (9001, Environment::Development, 5, 12));
    assert_eq!(config.links.return_urls, ["https://a.example"]);
    let absent = Config::read(Some(Path::new("/nonexistent/dashtam.toml")), pairs(&[])).unwrap_err();
    assert!(absent.to_string().contains("/nonexistent/dashtam.toml"));
}

#[test]
fn a_secret_is_text_whatever_it_looks_like_and_may_come_from_a_file() {
    for text in ["12345678901234567890123456789012", "true", "[1, 2]", "{a = 1}", "\"quoted\"", "1e9", " spaces ", "null"] {
        assert_eq!(read(&[("DASHTAM_JWT__SECRET", text)]).jwt.secret.unwrap().expose_secret(), text);
    }
    let secret = file("from a file, with its line break\r\n");
    let config = read(&[("DASHTAM_JWT__SECRET_FILE", secret.path().to_str().unwrap())]);
    assert_eq!(config.jwt.secret.as_ref().unwrap().expose_secret(), "from a file, with its line break");
    assert!(!format!("{config:?}").contains("from a file"), "a configuration is printed without its secrets");
    let refusal = refusal(&[("DASHTAM_ENCRYPTION__KEYS_FILE", "/nonexistent/keys")]);
    assert!(refusal.contains("DASHTAM_ENCRYPTION__KEYS_FILE"), "{refusal}");
}

#[test]
fn our_own_name_of_the_database_wins_over_the_common_one_in_any_order() {
    let of = |environment: &[(&str, &str)]| read(environment).database().expose_secret().to_owned();
    let (own, common) = (("DASHTAM_DATABASE_URL", "postgres://own"), ("DATABASE_URL", "postgres://common"));
    assert_eq!(of(&[common]), "postgres://common");
    assert_eq!((of(&[own, common]), of(&[common, own])), ("postgres://own".to_owned(), "postgres://own".to_owned()));
    let secret = file("postgres://filed\n");
    let filed = ("DASHTAM_DATABASE_URL_FILE", secret.path().to_str().unwrap());
    assert_eq!((of(&[filed, common]), of(&[common, filed])), ("postgres://filed".to_owned(), "postgres://filed".to_owned()));
    assert!(!read(&[own]).is_embedded() && read(&[("DATABASE_URL", "sqlite://x.db")]).is_embedded());
    assert_eq!(of(&[("DASHTAM_DATA_DIR", "/data")]), "sqlite:///data/dashtam.db?mode=rwc");
}

#[test]
fn folders_and_lists_are_read_as_people_write_them() {
    for folder in ["2026", "true", "1.5", "/var/lib/dashtam", "with space", "[x]"] {
        assert_eq!(read(&[("DASHTAM_DATA_DIR", folder)]).data_dir, Path::new(folder));
    }
    let urls = |text: &str| read(&[("DASHTAM_LINKS__RETURN_URLS", text)]).links.return_urls;
    assert_eq!(urls("https://a.example"), ["https://a.example"]);
    assert_eq!(urls("https://a.example, https://b.example/linked ,"), ["https://a.example", "https://b.example/linked"]);
    assert_eq!(urls(r#"["https://a.example", "https://b.example"]"#), ["https://a.example", "https://b.example"]);
    assert_eq!(urls(""), Vec::<String>::new());
    for wrong in ["nonsense", "ftp://a.example", "https://a.example?x=1", "https://a.example#x", "javascript:alert(1)"] {
        assert!(refusal(&[("DASHTAM_LINKS__RETURN_URLS", wrong)]).contains("links.return_urls"), "{wrong}");
    }
}

#[test]
fn a_public_url_is_an_origin() {
    let config = read(&[("DASHTAM_PUBLIC_URL", "https://money.example.com/")]);
    assert_eq!(config.public_url(config.bind), "https://money.example.com");
    for wrong in ["https://money.example.com/path", "https://money.example.com/?x", "ftp://money.example.com", "money.example.com", "https://", "2026"] {
        let refusal = refusal(&[("DASHTAM_PUBLIC_URL", wrong)]);
        assert!(refusal.to_lowercase().contains("public_url"), "{wrong}: {refusal}");
    }
    let config = read(&[]);
    assert_eq!(config.public_url("0.0.0.0:80".parse().unwrap()), "http://localhost:80");
    assert_eq!(config.public_url("[::1]:80".parse().unwrap()), "http://[::1]:80");
}

#[test]
fn the_cost_of_passwords_has_bounds_that_depend_on_the_environment() {
    let cost = |environment: &str, cost: &str| Config::read(None, pairs(&[("DASHTAM_ENVIRONMENT", environment), ("DASHTAM_PASSWORDS__COST", cost)]));
    for (environment, accepted, refused) in [("production", ["10", "16"], ["9", "17"]), ("development", ["4", "16"], ["3", "17"])] {
        assert!(accepted.iter().all(|number| cost(environment, number).is_ok()), "{environment}");
        assert!(refused.iter().all(|number| cost(environment, number).is_err_and(|refusal| refusal.to_string().contains("passwords.cost"))), "{environment}");
    }
    assert!(cost("production", "-1").is_err() && cost("production", "many").is_err() && cost("staging", "12").is_err());
}

#[test]
fn the_sandbox_bank_is_there_in_development_on_this_machine_only() {
    let development = read(&[("DASHTAM_ENVIRONMENT", "development")]);
    assert!(development.has_sandbox("127.0.0.1:80".parse().unwrap()) && development.has_sandbox("[::1]:80".parse().unwrap()));
    assert!(!development.has_sandbox("0.0.0.0:80".parse().unwrap()) && !development.has_sandbox("192.0.2.1:80".parse().unwrap()));
    assert!(!read(&[]).has_sandbox("127.0.0.1:80".parse().unwrap()));
}
